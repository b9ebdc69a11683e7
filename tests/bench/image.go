// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// plainResolver finds images in the registry on loopback, without TLS.
func plainResolver() remotes.Resolver {
	return docker.NewResolver(docker.ResolverOptions{
		Hosts: docker.ConfigureDefaultRegistries(docker.WithPlainHTTP(docker.MatchAllHosts))})
}

// sizes of a layer.
type sizes struct{ files, compressed int }

// pushLarge makes an image whose one layer holds about so many bytes of files, and pushes it.
func pushLarge(ref string, bytesOfFiles int) (sizes, error) {
	layer, diffID, err := largeLayer(bytesOfFiles)
	if err != nil {
		return sizes{}, err
	}
	config, err := json.Marshal(ocispec.Image{Platform: ocispec.Platform{Architecture: "amd64", OS: "linux"},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}}})
	if err != nil {
		return sizes{}, err
	}
	manifest, err := json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest, Config: described(ocispec.MediaTypeImageConfig, config),
		Layers: []ocispec.Descriptor{described(ocispec.MediaTypeImageLayerGzip, layer)}})
	if err != nil {
		return sizes{}, err
	}
	return sizes{bytesOfFiles, len(layer)}, pushImage(ref, manifest, layer, config)
}

func described(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

// largeLayer packs files as a distribution has them: most are small, most bytes are in large ones, and they shrink to
// about two fifths.
func largeLayer(bytesOfFiles int) ([]byte, digest.Digest, error) {
	var packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzip.DefaultCompression)
	if err != nil {
		return nil, "", err
	}
	hash := digest.SHA256.Digester()
	archive := tar.NewWriter(io.MultiWriter(zip, hash.Hash()))
	random := rand.New(rand.NewSource(2))
	for n, left := 0, bytesOfFiles; left > 0; n++ {
		if n%100 == 0 {
			folder := &tar.Header{Typeflag: tar.TypeDir, Name: fmt.Sprintf("usr/lib/package%d/", n/100), Mode: 0o755, ModTime: layerTime}
			if err := archive.WriteHeader(folder); err != nil {
				return nil, "", err
			}
		}
		size := min(left, fileSize(random))
		left -= size
		file := &tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("usr/lib/package%d/file%d", n/100, n), Mode: 0o644,
			Size: int64(size), ModTime: layerTime}
		if err := archive.WriteHeader(file); err != nil {
			return nil, "", err
		}
		if _, err := archive.Write(fileContent(random, size)); err != nil {
			return nil, "", err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, "", err
	}
	if err := zip.Close(); err != nil {
		return nil, "", err
	}
	return packed.Bytes(), hash.Digest(), nil
}

var layerTime = time.Unix(1700000000, 0)

func fileSize(random *rand.Rand) int {
	if random.Intn(50) == 0 {
		return 1<<20 + random.Intn(4<<20)
	}
	return 200 + int(random.ExpFloat64()*12000)
}

// fileContent alternates words of a small vocabulary with noise.
func fileContent(random *rand.Rand, size int) []byte {
	data := make([]byte, 0, size+64)
	for len(data) < size {
		if random.Intn(8) == 0 {
			noise := make([]byte, 32)
			random.Read(noise)
			data = append(data, noise...)
			continue
		}
		data = append(data, vocabulary[random.Intn(len(vocabulary))]...)
	}
	return data[:size]
}

var vocabulary = strings.SplitAfter("the quick brown fox jumps over a lazy dog while return const unsigned static include "+
	"namespace function value pointer library linux kernel container image snapshot layer content digest label ", " ")

// pushImage speaks the registry's protocol: each blob in one piece, then the manifest.
func pushImage(ref string, manifest []byte, blobs ...[]byte) error {
	host, rest, _ := strings.Cut(ref, "/")
	name, tag, _ := strings.Cut(rest, ":")
	base := "http://" + host + "/v2/" + name
	for _, data := range blobs {
		answer, err := send(http.MethodPost, base+"/blobs/uploads/", "", nil, http.StatusAccepted)
		if err != nil {
			return err
		}
		place, err := answer.Request.URL.Parse(answer.Header.Get("Location"))
		if err != nil {
			return err
		}
		query := place.Query()
		query.Set("digest", digest.FromBytes(data).String())
		place.RawQuery = query.Encode()
		if _, err := send(http.MethodPut, place.String(), "application/octet-stream", data, http.StatusCreated); err != nil {
			return err
		}
	}
	_, err := send(http.MethodPut, base+"/manifests/"+url.PathEscape(tag), ocispec.MediaTypeImageManifest, manifest, http.StatusCreated)
	return err
}

func send(method, address, contentType string, body []byte, want int) (*http.Response, error) {
	request, err := http.NewRequest(method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", contentType)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	answer.Body.Close()
	if answer.StatusCode != want {
		return nil, fmt.Errorf("%s %s: %s", method, address, answer.Status)
	}
	return answer, nil
}
