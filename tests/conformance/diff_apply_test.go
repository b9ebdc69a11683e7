// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
)

// layerTypes are the media types of layers by compression.
var layerTypes = map[string]string{"": layerTar, "gzip": layerTar + "+gzip", "zstd": layerTar + "+zstd"}

// apply stores a tar and applies it to mounts.
func (e *env) apply(mounts []*types.Mount, plain []byte, compression string) (*types.Descriptor, error) {
	e.t.Helper()
	data := packed(e.t, plain, compression)
	dgst := e.blob(string(data), nil)
	return e.applyBlob(mounts, &types.Descriptor{MediaType: layerTypes[compression], Digest: dgst, Size: int64(len(data))}, nil)
}

func (e *env) applyBlob(mounts []*types.Mount, desc *types.Descriptor,
	payloads map[string]*anypb.Any) (*types.Descriptor, error) {
	answer, err := e.diff().Apply(e.ctx, &diffapi.ApplyRequest{Diff: desc, Mounts: mounts, Payloads: payloads})
	return answer.GetApplied(), err
}

// bindOf is a writable bind mount of a folder.
func bindOf(dir string) []*types.Mount {
	return []*types.Mount{{Type: "bind", Source: dir, Options: []string{"rbind", "rw"}}}
}

func TestL132_ApplyDigests(t *testing.T) {
	e := newEnv(t).held()
	_, err := e.applyBlob(bindOf(t.TempDir()), descriptor(digestOf("absent"+e.ns)), nil)
	wantCode(t, err, codes.NotFound)
	// Trailing zeros beyond the end of the archive belong to the diffID.
	plain := append(tarOf(t, folder("dir/"), file("dir/a", "hello "+e.ns)), make([]byte, 4096)...)
	for compression := range layerTypes {
		key := "key " + compression
		mounts := e.prepare(key, "", nil)
		applied, err := e.apply(mounts, plain, compression)
		ok(t, err)
		equal(t, "digest of "+compression, applied.Digest, digest.FromBytes(plain).String())
		equal(t, "size of "+compression, applied.Size, int64(len(plain)))
		equal(t, "media type of "+compression, applied.MediaType, layerTar)
		got, err := os.ReadFile(filepath.Join(layerOf(mounts), "dir", "a"))
		ok(t, err)
		equal(t, "content", string(got), "hello "+e.ns)
	}
}

func TestL132_ApplySniffsDockerLayers(t *testing.T) {
	e := newEnv(t).held()
	plain := tarOf(t, file("a", "docker "+e.ns))
	for _, row := range []struct{ mediaType, compression string }{
		{"application/vnd.docker.image.rootfs.diff.tar", ""},
		{"application/vnd.docker.image.rootfs.diff.tar.gzip", "gzip"},
		{"application/vnd.docker.image.rootfs.diff.tar.gzip", "zstd"},
		{"application/vnd.docker.image.rootfs.diff.tar.zstd", "zstd"},
	} {
		data := packed(t, plain, row.compression)
		dgst := e.blob(string(data), nil)
		dir := t.TempDir()
		applied, err := e.applyBlob(bindOf(dir), &types.Descriptor{MediaType: row.mediaType, Digest: dgst, Size: int64(len(data))}, nil)
		if err != nil {
			t.Errorf("%s that is %s: %v", row.mediaType, row.compression, err)
			continue
		}
		equal(t, "digest", applied.Digest, digest.FromBytes(plain).String())
		equal(t, "file", exists(filepath.Join(dir, "a")), true)
	}
}

func TestL133_ApplyFileRules(t *testing.T) {
	e := newEnv(t).held()
	_, err := e.apply(e.prepare("make", "", nil), tarOf(t,
		folder("keep/"), file("keep/old", "old"), file("gone", "x"), folder("goner/"), file("goner/x", "x"),
		folder("opaque1/"), file("opaque1/old", ""), folder("opaque2/"), file("opaque2/old", ""), file("becomes-dir", "")), "")
	ok(t, err)
	e.commit("base", "make", nil)
	suid := file("suid", "s")
	suid.Mode, suid.Uid, suid.Gid = 0o6755, 12, 34
	device := entry{tar.Header{Name: "null", Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3, ModTime: fixedTime}, ""}
	attributes := file("attributes", "")
	attributes.PAXRecords = map[string]string{"SCHILY.xattr.user.x": "y"}
	mounts := e.prepare("change", "base", nil)
	_, err = e.apply(mounts, tarOf(t,
		file(".wh.gone", ""), file(".wh.goner", ""),
		folder("opaque1/"), file("opaque1/.wh..wh..opq", ""), file("opaque1/new", ""),
		folder("opaque2/"), file("opaque2/new", ""), file("opaque2/.wh..wh..opq", ""),
		folder("becomes-dir/"), folder("keep/"), file("keep/new", "new"), suid,
		file("one", "1"), link(tar.TypeLink, "two", "one"), link(tar.TypeSymlink, "sym", "one"),
		link(tar.TypeLink, "linked-sym", "sym"), device, attributes,
		entry{tar.Header{Name: "pipe", Typeflag: tar.TypeFifo, Mode: 0o600, ModTime: fixedTime}, ""},
	), "gzip")
	ok(t, err)
	e.inside(mounts, func(root string) { checkAppliedFiles(t, root) })
}

func checkAppliedFiles(t *testing.T, root string) {
	at := func(name string) string { return filepath.Join(root, name) }
	for dir, want := range map[string][]string{
		"opaque1": {"new"}, "opaque2": {"new"}, "keep": {"new", "old"}, "becomes-dir": nil,
		"": {"attributes", "becomes-dir", "keep", "linked-sym", "null", "one", "opaque1", "opaque2", "pipe", "suid", "sym", "two"},
	} {
		if got := names(t, at(dir)); !slices.Equal(got, want) {
			t.Errorf("/%s holds %v, want %v", dir, got, want)
		}
	}
	info := statOf(t, at("suid"))
	equal(t, "mode of suid", info.Mode&0o7777, 0o6755)
	equal(t, "owner of suid", fmt.Sprint(info.Uid, info.Gid), "12 34")
	for _, name := range []string{"suid", "one", "keep", "opaque1", "sym"} {
		equal(t, "mtime of "+name, time.Unix(statOf(t, at(name)).Mtim.Unix()), fixedTime)
	}
	equal(t, "hard link", statOf(t, at("one")).Ino, statOf(t, at("two")).Ino)
	equal(t, "hard link to a symlink", statOf(t, at("linked-sym")).Ino, statOf(t, at("sym")).Ino)
	device := statOf(t, at("null"))
	equal(t, "device", fmt.Sprint(device.Mode&unix.S_IFMT == unix.S_IFCHR, unix.Major(device.Rdev), unix.Minor(device.Rdev)), "true 1 3")
	equal(t, "fifo", statOf(t, at("pipe")).Mode&unix.S_IFMT, unix.S_IFIFO)
	value := make([]byte, 8)
	n, err := unix.Getxattr(at("attributes"), "user.x", value)
	ok(t, err)
	equal(t, "attribute", string(value[:n]), "y")
}

func TestL134_ApplyHostileNames(t *testing.T) {
	e := newEnv(t).held()
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	ok(t, os.WriteFile(victim, []byte("untouched"), 0o600))
	up := strings.Repeat("../", 40)
	for name, entries := range map[string][]entry{
		"dots":                      {file(up+outside+"/new", "x")},
		"absolute":                  {file(outside+"/new", "x")},
		"symlink to outside":        {link(tar.TypeSymlink, "l", outside), file("l/new", "x")},
		"relative symlink":          {link(tar.TypeSymlink, "l", up+outside), file("l/new", "x")},
		"symlink as file":           {link(tar.TypeSymlink, "l", victim), file("l", "x")},
		"symlink chain":             {link(tar.TypeSymlink, "a", outside), link(tar.TypeSymlink, "b", "a"), file("b/new", "x")},
		"hard link to outside":      {link(tar.TypeLink, "h", up+victim), file("h", "x")},
		"hard link through symlink": {link(tar.TypeSymlink, "l", outside), link(tar.TypeLink, "h", "l/victim"), file("h", "x")},
		"whiteout outside":          {link(tar.TypeSymlink, "l", outside), file("l/.wh.victim", "")},
		"whiteout by dots":          {file(up+outside+"/.wh.victim", "")},
		"opaque outside":            {link(tar.TypeSymlink, "l", outside), file("l/.wh..wh..opq", "")},
		"whiteout of parent":        {file("d/.wh...", "")},
		"whiteout of self":          {file("d/.wh..", "")},
		"whiteout of nothing":       {file("d/.wh.", "")},
	} {
		t.Run(name, func(t *testing.T) {
			e := e.with(t)
			for _, target := range []string{"bind", "overlay"} {
				mounts := bindOf(t.TempDir())
				if target == "overlay" {
					key := "key " + name
					e.layer(key+" base", "", nil)
					mounts = e.prepare(key, key+" base", nil)
				}
				_, err := e.apply(mounts, tarOf(t, append(entries, file("comment", name+target+e.ns))...), "")
				if strings.HasPrefix(name, "whiteout of") && err == nil {
					t.Errorf("accepted on %s", target)
				}
				if got := names(t, outside); !slices.Equal(got, []string{"victim"}) {
					t.Fatalf("outside there is %v now", got)
				}
				text, err := os.ReadFile(victim)
				ok(t, err)
				equal(t, "victim", string(text), "untouched")
			}
		})
	}
}

func TestL134_ApplyBrokenArchive(t *testing.T) {
	e := newEnv(t).held()
	whole := tarOf(t, file("a", strings.Repeat("x", 5000)))
	for name, data := range map[string][]byte{
		"truncated": whole[:3000], "garbage": bytes.Repeat([]byte("garbage!"), 300),
	} {
		dgst := e.blob(string(data), nil)
		_, err := e.applyBlob(bindOf(t.TempDir()), &types.Descriptor{MediaType: layerTar, Digest: dgst, Size: 1}, nil)
		if err == nil {
			t.Errorf("a %s archive was applied", name)
		}
	}
	compressed := packed(t, whole, "gzip")
	dgst := e.blob(string(compressed[:len(compressed)-12]), nil)
	_, err := e.applyBlob(bindOf(t.TempDir()), &types.Descriptor{MediaType: layerTypes["gzip"], Digest: dgst, Size: 1}, nil)
	if err == nil {
		t.Error("a truncated gzip stream was applied")
	}
}

func TestL135_Whiteouts(t *testing.T) {
	e := newEnv(t).held()
	layer := tarOf(t, file(".wh.gone", ""), folder("dir/"), file("dir/.wh..wh..opq", ""))

	_, err := e.apply(e.prepare("make", "", nil), tarOf(t, file("gone", "x"), folder("dir/"), file("dir/old", "")), "")
	ok(t, err)
	e.commit("base", "make", nil)
	mounts := e.prepare("change", "base", nil)
	_, err = e.apply(mounts, layer, "")
	ok(t, err)
	white := statOf(t, filepath.Join(layerOf(mounts), "gone"))
	equal(t, "whiteout", fmt.Sprint(white.Mode&unix.S_IFMT == unix.S_IFCHR, white.Rdev), "true 0")
	value := make([]byte, 8)
	n, err := unix.Getxattr(filepath.Join(layerOf(mounts), "dir"), "trusted.overlay.opaque", value)
	ok(t, err)
	equal(t, "opaque marker", string(value[:n]), "y")
	equal(t, "whiteout files", len(names(t, layerOf(mounts))), 2)

	dir := t.TempDir()
	ok(t, os.WriteFile(filepath.Join(dir, "gone"), nil, 0o600))
	ok(t, os.Mkdir(filepath.Join(dir, "dir"), 0o755))
	ok(t, os.WriteFile(filepath.Join(dir, "dir", "old"), nil, 0o600))
	_, err = e.apply(bindOf(dir), layer, "")
	ok(t, err)
	if got := names(t, dir); !slices.Equal(got, []string{"dir"}) {
		t.Errorf("left: %v", got)
	}
	if got := names(t, filepath.Join(dir, "dir")); len(got) != 0 {
		t.Errorf("left in dir: %v", got)
	}
}

func TestL142_ApplySyncs(t *testing.T) {
	e := newEnv(t).held()
	mounts := e.prepare("key", "", nil)
	data := tarOf(t, file("a", "synced "+e.ns))
	_, err := e.diff().Apply(e.ctx, &diffapi.ApplyRequest{Mounts: mounts, SyncFs: true, Diff: &types.Descriptor{
		MediaType: layerTar, Digest: e.blob(string(data), nil), Size: int64(len(data))}})
	ok(t, err)
	equal(t, "file", exists(filepath.Join(layerOf(mounts), "a")), true)
}

// processorConfig declares a stream processor for a made-up media type and a differ that needs none.
func processorConfig(id, script string) string {
	return fmt.Sprintf("[stream_processors.%q]\naccepts = ['application/x.%s']\nreturns = %q\npath = %q\nargs = ['one', 'two']\n"+
		"env = ['GREETING=hello']\n", id, id, layerTar, script)
}

func TestL136_StreamProcessor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "processor")
	ok(t, os.WriteFile(script, []byte("#!/bin/sh\necho \"$STREAM_PROCESSOR_MEDIATYPE $GREETING $*\" > "+dir+
		"/seen\ncat <&3 > "+dir+"/payload\nLC_ALL=C exec sed s/data/DATA/\n"), 0o755))
	e := startDaemon(t, daemonOptions{name: "proc", config: processorConfig("good", script)}).env(t).held()
	target := t.TempDir()
	_, err := e.applyBlob(bindOf(target), &types.Descriptor{MediaType: "application/x.good", Size: 1,
		Digest: e.blob(string(tarOf(t, file("file", "data"))), nil)},
		map[string]*anypb.Any{"good": anyOf("conformance.Payload", "secret")})
	ok(t, err)
	got, err := os.ReadFile(filepath.Join(target, "file"))
	ok(t, err)
	equal(t, "data", string(got), "DATA")
	seen, err := os.ReadFile(filepath.Join(dir, "seen"))
	ok(t, err)
	equal(t, "environment and arguments", strings.TrimSpace(string(seen)), "application/x.good hello one two")
	passed, err := os.ReadFile(filepath.Join(dir, "payload"))
	ok(t, err)
	if !bytes.Contains(passed, []byte("conformance.Payload")) || !bytes.Contains(passed, []byte("secret")) {
		t.Errorf("payload %q", passed)
	}
}

func TestL136_FailingStreamProcessor(t *testing.T) {
	gantryOnly(t, "a processor's failure may be noticed too late")
	t.Parallel()
	script := filepath.Join(t.TempDir(), "processor")
	ok(t, os.WriteFile(script, []byte("#!/bin/sh\ncat > /dev/null\necho no such luck >&2\nexit 3\n"), 0o755))
	e := startDaemon(t, daemonOptions{name: "proc", config: processorConfig("bad", script)}).env(t).held()
	for range 5 {
		_, err := e.applyBlob(bindOf(t.TempDir()), &types.Descriptor{MediaType: "application/x.bad", Size: 1,
			Digest: e.blob(string(tarOf(t, file("file", "data"))), nil)}, nil)
		if err == nil || !strings.Contains(err.Error(), "no such luck") {
			t.Errorf("it gave %v", err)
		}
	}
}

func TestL136_LayersThatTakeLongHoldUpNobodyElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "processor")
	ok(t, os.WriteFile(script, []byte("#!/bin/sh\ntouch "+dir+"/started.$$\n"+
		"while [ ! -e "+dir+"/go ]; do sleep 0.05; done\nexec cat\n"), 0o755))
	e := startDaemon(t, daemonOptions{name: "proc", config: processorConfig("slow", script)}).env(t).held()
	layer := &types.Descriptor{MediaType: "application/x.slow", Size: 1, Digest: e.blob(string(tarOf(t, file("file", "data"))), nil)}
	const layers = 40
	applied := make(chan error, layers)
	for range layers {
		target := t.TempDir()
		go func() {
			_, err := e.applyBlob(bindOf(target), layer, nil)
			applied <- err
		}()
	}
	eventually(t, 20*time.Second, "some layers are being applied", func() bool { return len(names(t, dir)) > 16 })
	for range 20 {
		ctx, cancel := context.WithTimeout(e.ctx, 10*time.Second)
		_, err := e.images().List(ctx, &imagesapi.ListImagesRequest{})
		cancel()
		ok(t, err)
	}
	ok(t, os.WriteFile(filepath.Join(dir, "go"), nil, 0o600))
	for range layers {
		ok(t, <-applied)
	}
}

func TestL136_UnknownMediaType(t *testing.T) {
	gantryOnly(t, "a media type without a processor is Unknown")
	e := newEnv(t).held()
	_, err := e.applyBlob(bindOf(t.TempDir()), &types.Descriptor{MediaType: "application/x.nope",
		Digest: e.blob("nope"+e.ns, nil), Size: 1}, nil)
	wantCode(t, err, codes.InvalidArgument)
}

func TestL137_DifferOrder(t *testing.T) {
	t.Parallel()
	p := startProxysnap(t, "native", "diff")
	config := func(order string) string {
		return fmt.Sprintf("[proxy_plugins.declining]\ntype = 'diff'\naddress = %q\n"+
			"[plugins.'io.containerd.service.v1.diff-service']\ndefault = [%s]\n", p.socket(), order)
	}
	both := startDaemon(t, daemonOptions{name: "both", config: config("'declining', 'walking'")}).env(t).held()
	dir := t.TempDir()
	_, err := both.apply(bindOf(dir), tarOf(t, file("a", "x")), "")
	ok(t, err)
	equal(t, "file", exists(filepath.Join(dir, "a")), true)
	equal(t, "calls to the first differ", len(p.calls("Apply")), 1)
	left, right := t.TempDir(), t.TempDir()
	ok(t, os.WriteFile(filepath.Join(right, "a"), nil, 0o600))
	_, err = both.diff().Diff(both.ctx, &diffapi.DiffRequest{Left: bindOf(left), Right: bindOf(right)})
	ok(t, err)
	equal(t, "calls to the first differ", len(p.calls("Diff")), 1)

	one := startDaemon(t, daemonOptions{name: "one", config: config("'declining'")}).env(t).held()
	_, err = one.apply(bindOf(dir), tarOf(t, file("b", "x")), "")
	wantCode(t, err, codes.Unimplemented)
	_, err = one.diff().Diff(one.ctx, &diffapi.DiffRequest{Left: bindOf(left), Right: bindOf(right)})
	wantCode(t, err, codes.Unimplemented)
}
