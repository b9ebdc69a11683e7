// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand"
	"time"

	api "github.com/containerd/containerd/api/services/containers/v1"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
)

// records makes, reads, lists and removes container records that nothing else belongs to.
func records(ctx context.Context, b *bench) error {
	const group = "container records"
	spec, err := recordedSpec(ctx)
	if err != nil {
		return err
	}
	ids := map[*daemon][]string{}
	err = b.inTurns(ctx, b.count(200, 5), func(ctx context.Context, d *daemon, to *recorder) error {
		id := b.name("record")
		ids[d] = append(ids[d], id)
		watch := to.watch(group)
		_, err := d.client.ContainerService().Create(ctx, containers.Container{ID: id, Image: "example.com/image:1",
			Labels: map[string]string{"app": "bench", "round": id}, Snapshotter: "overlayfs",
			Runtime: containers.RuntimeInfo{Name: runcRuntime}, Spec: spec})
		if err != nil {
			return err
		}
		watch.step("create")
		if _, err := d.client.ContainerService().Get(ctx, id); err != nil {
			return err
		}
		watch.step("get")
		return nil
	})
	if err != nil {
		return err
	}
	err = b.inTurns(ctx, b.count(50, 3), func(ctx context.Context, d *daemon, to *recorder) error {
		unary := api.NewContainersClient(d.client.Conn().(grpc.ClientConnInterface))
		watch := to.watch(group)
		if _, err := d.client.ContainerService().List(ctx); err != nil {
			return err
		}
		watch.step(fmt.Sprintf("list of %d, streamed", len(ids[d])))
		if _, err := unary.List(ctx, &api.ListContainersRequest{}); err != nil {
			return err
		}
		watch.step("list in one message")
		if _, err := d.client.ContainerService().List(ctx, "labels.round=="+ids[d][0]); err != nil {
			return err
		}
		watch.step("list, filter for one")
		return nil
	})
	if err != nil {
		return err
	}
	return b.inTurns(ctx, len(ids[b.daemons[0]])-1, func(ctx context.Context, d *daemon, to *recorder) error {
		id := ids[d][0]
		ids[d] = ids[d][1:]
		watch := to.watch(group)
		err := d.client.ContainerService().Delete(ctx, id)
		watch.step("delete")
		return err
	})
}

// recordedSpec is as large as a real container's.
func recordedSpec(ctx context.Context) (typeurl.Any, error) {
	container := &containers.Container{ID: "record"}
	spec, err := oci.GenerateSpec(namespaces.WithNamespace(ctx, "bench"), nil, container)
	if err != nil {
		return nil, err
	}
	return typeurl.MarshalAny(spec)
}

// blob is something to write, with its digest known beforehand.
type blob struct {
	data []byte
	desc ocispec.Descriptor
}

func randomBlob(random *rand.Rand, size int) blob {
	data := make([]byte, size)
	random.Read(data)
	return blob{data, ocispec.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromBytes(data), Size: int64(size)}}
}

// ingest writes new content: many small blobs one after the other, then a large one. A lease holds it until the end of
// the round.
func ingest(ctx context.Context, b *bench) error {
	small, large := b.count(100, 5), b.count(256, 8)<<20
	random := rand.New(rand.NewSource(1))
	return b.inTurns(ctx, b.count(7, 1), func(ctx context.Context, d *daemon, to *recorder) error {
		lease, err := d.client.LeasesService().Create(ctx, leases.WithRandomID(), leases.WithExpiration(time.Hour))
		if err != nil {
			return err
		}
		held := leases.WithLease(ctx, lease.ID)
		for range small {
			if err := writeBlob(held, d, to, "4 KiB blob", randomBlob(random, 4096)); err != nil {
				return err
			}
		}
		if err := writeLarge(held, d, to, randomBlob(random, large)); err != nil {
			return err
		}
		return d.client.LeasesService().Delete(ctx, lease, leases.SynchronousDelete)
	})
}

func writeBlob(ctx context.Context, d *daemon, to *recorder, step string, what blob) error {
	watch := to.watch("content ingest")
	err := content.WriteBlob(ctx, d.client.ContentStore(), what.desc.Digest.String(), bytes.NewReader(what.data), what.desc)
	watch.step(step)
	return err
}

// writeLarge does the same in steps.
func writeLarge(ctx context.Context, d *daemon, to *recorder, what blob) error {
	watch := to.watch(fmt.Sprintf("content ingest of %d MiB", what.desc.Size>>20))
	writer, err := d.client.ContentStore().Writer(ctx, content.WithRef(what.desc.Digest.String()), content.WithDescriptor(what.desc))
	if err != nil {
		return err
	}
	defer writer.Close()
	watch.step("open")
	if _, err := io.CopyBuffer(writer, struct{ io.Reader }{bytes.NewReader(what.data)}, make([]byte, 1<<20)); err != nil {
		return err
	}
	watch.step("write")
	if err := writer.Commit(ctx, what.desc.Size, what.desc.Digest); err != nil {
		return err
	}
	watch.step("commit")
	watch.total("all")
	return nil
}

// pull fetches and unpacks an image with one large layer, as the client library does it: first in two steps, then in
// one that unpacks while it fetches. Whatever it brought is removed after each.
func pull(ctx context.Context, b *bench) error {
	ref := b.set.registry + "/bench/large:1"
	size, err := pushLarge(ref, b.count(300, 20)<<20)
	if err != nil {
		return err
	}
	group := fmt.Sprintf("image with one gzip layer of %d MB, %d MB of files", size.compressed/1e6, size.files/1e6)
	rounds := b.count(7, 1)
	return b.cpuOf(group, 2*(rounds+1), func() error {
		return b.inTurns(ctx, rounds, func(ctx context.Context, d *daemon, to *recorder) error {
			if err := pullInSteps(ctx, d, to.watch(group), ref); err != nil {
				return err
			}
			if err := removeImage(ctx, d, ref); err != nil {
				return err
			}
			watch := to.watch(group)
			if _, err := d.client.Pull(ctx, ref, containerd.WithPullUnpack, containerd.WithResolver(plainResolver())); err != nil {
				return err
			}
			watch.step("pull with unpack")
			return removeImage(ctx, d, ref)
		})
	})
}

func pullInSteps(ctx context.Context, d *daemon, watch *stopwatch, ref string) error {
	image, err := d.client.Pull(ctx, ref, containerd.WithResolver(plainResolver()))
	if err != nil {
		return err
	}
	watch.step("pull")
	if err := image.Unpack(ctx, "overlayfs"); err != nil {
		return err
	}
	watch.step("unpack")
	watch.total("pull, then unpack")
	return nil
}

func removeImage(ctx context.Context, d *daemon, ref string) error {
	if err := d.client.ImageService().Delete(ctx, ref); err != nil {
		return err
	}
	return d.collect(ctx)
}
