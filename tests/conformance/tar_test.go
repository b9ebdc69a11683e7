// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// entry is one member of an archive that a test writes.
type entry struct {
	tar.Header
	data string
}

// file is a regular file, folder a directory; both with plain modes and a fixed time.
func file(name, data string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(data)), ModTime: fixedTime}, data}
}

func folder(name string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755, ModTime: fixedTime}, ""}
}

func link(kind byte, name, target string) entry {
	return entry{tar.Header{Name: name, Typeflag: kind, Linkname: target, Mode: 0o777, ModTime: fixedTime}, ""}
}

var fixedTime = time.Unix(1_500_000_000, 0)

// tarOf writes an archive.
func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		header := e.Header
		header.Format = tar.FormatPAX
		ok(t, w.WriteHeader(&header))
		_, err := w.Write([]byte(e.data))
		ok(t, err)
	}
	ok(t, w.Close())
	return out.Bytes()
}

// packed is a tar under one of the layer media types.
func packed(t testing.TB, plain []byte, compression string) []byte {
	t.Helper()
	var out bytes.Buffer
	switch compression {
	case "":
		return plain
	case "gzip":
		w := gzip.NewWriter(&out)
		_, err := w.Write(plain)
		ok(t, err)
		ok(t, w.Close())
	case "zstd":
		w, err := zstd.NewWriter(&out)
		ok(t, err)
		_, err = w.Write(plain)
		ok(t, err)
		ok(t, w.Close())
	}
	return out.Bytes()
}

// unpacked undoes packed.
func unpacked(t testing.TB, data []byte, compression string) []byte {
	t.Helper()
	var out bytes.Buffer
	switch compression {
	case "":
		return data
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(data))
		ok(t, err)
		_, err = out.ReadFrom(r)
		ok(t, err)
	case "zstd":
		r, err := zstd.NewReader(bytes.NewReader(data))
		ok(t, err)
		defer r.Close()
		_, err = out.ReadFrom(r)
		ok(t, err)
	}
	return out.Bytes()
}
