// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	eventtypes "github.com/containerd/containerd/api/events"
	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

func (e *env) tryContainer(c *containersapi.Container) error {
	_, err := e.containers().Create(e.ctx, &containersapi.CreateContainerRequest{Container: c})
	return err
}

func (e *env) updateContainer(c *containersapi.Container, paths ...string) (*containersapi.Container, error) {
	answer, err := e.containers().Update(e.ctx, &containersapi.UpdateContainerRequest{Container: c, UpdateMask: mask(paths...)})
	return answer.GetContainer(), err
}

// full is a record with every field set.
func full(id string) *containersapi.Container {
	c := containerOf(id)
	c.Labels = map[string]string{"x": "1", "y": "2"}
	c.Image = "image"
	c.Runtime.Options = anyOf("a.Options", "\xff\x00")
	c.Spec = anyOf("a.Spec", "\xfe\x01")
	c.Snapshotter, c.SnapshotKey = overlayfs, "key"
	c.Extensions = anyMap("e1", anyOf("a.E1", "one"))
	c.Extensions["e2"] = anyOf("a.E2", "two")
	c.Sandbox = "sandbox"
	return c
}

// sameRecord compares all but the times.
func sameRecord(t testing.TB, got, want *containersapi.Container) {
	t.Helper()
	got, want = proto.Clone(got).(*containersapi.Container), proto.Clone(want).(*containersapi.Container)
	got.CreatedAt, got.UpdatedAt, want.CreatedAt, want.UpdatedAt = nil, nil, nil, nil
	if !proto.Equal(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

func TestL046_ContainerCreateValidation(t *testing.T) {
	e := newEnv(t)
	for name, spoil := range map[string]func(c *containersapi.Container){
		"empty id":                 func(c *containersapi.Container) { c.ID = "" },
		"bad id":                   func(c *containersapi.Container) { c.ID = "a/b" },
		"empty extension name":     func(c *containersapi.Container) { c.Extensions = anyMap("", anyOf("a.B", "x")) },
		"long label":               func(c *containersapi.Container) { c.Labels = labelOf(4097) },
		"empty runtime name":       func(c *containersapi.Container) { c.Runtime.Name = "" },
		"key without snapshotter":  func(c *containersapi.Container) { c.SnapshotKey = "k" },
		"long id of 77 characters": func(c *containersapi.Container) { c.ID = string(bytes.Repeat([]byte("a"), 77)) },
	} {
		t.Run(name, func(t *testing.T) {
			c := containerOf("c")
			spoil(c)
			wantCode(t, e.tryContainer(c), codes.InvalidArgument)
		})
	}
	ids := must(e.filtered())(t)
	if len(ids) != 0 {
		t.Errorf("records were made: %v", ids)
	}
	stored := e.container(full("c"))
	sameRecord(t, stored, full("c"))
	equal(t, "created and updated", stored.CreatedAt.AsTime(), stored.UpdatedAt.AsTime())
}

func TestL047_ContainerDuplicate(t *testing.T) {
	e := newEnv(t)
	events := e.subscribe(`topic=="/containers/create"`)
	e.container(containerOf("c"))
	wantCode(t, e.tryContainer(containerOf("c")), codes.AlreadyExists, `"c"`)
	e.container(containerOf("d"))
	var created []string
	for range 2 {
		created = append(created, decode[*eventtypes.ContainerCreate](events.next(t)).ID)
	}
	if !slices.Equal(created, []string{"c", "d"}) {
		t.Errorf("created %v", created)
	}
}

func TestL048_ContainerImmutableFields(t *testing.T) {
	e := newEnv(t)
	e.container(full("c"))
	for name, spoil := range map[string]func(c *containersapi.Container){
		"snapshotter": func(c *containersapi.Container) { c.Snapshotter = "native" },
		"runtime":     func(c *containersapi.Container) { c.Runtime.Name = "io.containerd.other.v2" },
	} {
		c := full("c")
		c.Image = "changed"
		spoil(c)
		_, err := e.updateContainer(c)
		if err == nil {
			t.Errorf("%s is mutable", name)
			continue
		}
		wantCode(t, err, codes.InvalidArgument)
	}
	sameRecord(t, e.getContainer("c"), full("c"))
	_, err := e.updateContainer(containerOf(""))
	wantCode(t, err, codes.InvalidArgument)
	_, err = e.updateContainer(containerOf("absent"))
	wantCode(t, err, codes.NotFound)
}

func TestL048_ContainerUpdateWithoutMask(t *testing.T) {
	e := newEnv(t)
	e.container(full("c"))
	c := full("c")
	c.Labels, c.Image, c.SnapshotKey = map[string]string{"z": "9"}, "other", "other-key"
	c.Spec = anyOf("b.Spec", "new")
	c.Extensions["e1"] = anyOf("b.E", "new")
	updated, err := e.updateContainer(c)
	ok(t, err)
	sameRecord(t, updated, c)
	sameRecord(t, e.getContainer("c"), c)
}

func TestL049_ContainerMasks(t *testing.T) {
	e := newEnv(t)
	changed := containerOf("c")
	changed.Labels = map[string]string{"x": "changed", "n.o/p": "new"}
	changed.Image, changed.SnapshotKey = "changed", "changed"
	changed.Spec = anyOf("c.Spec", "changed")
	changed.Extensions = anyMap("e1", anyOf("c.E", "changed"))
	for path, expect := range map[string]func(c *containersapi.Container){
		"snapshotkey":   func(c *containersapi.Container) { c.SnapshotKey = "changed" },
		"image":         func(c *containersapi.Container) { c.Image = "changed" },
		"spec":          func(c *containersapi.Container) { c.Spec = changed.Spec },
		"labels":        func(c *containersapi.Container) { c.Labels = changed.Labels },
		"labels.x":      func(c *containersapi.Container) { c.Labels["x"] = "changed" },
		"labels.n.o/p":  func(c *containersapi.Container) { c.Labels["n.o/p"] = "new" },
		"labels.y":      func(c *containersapi.Container) { delete(c.Labels, "y") },
		"extensions.e1": func(c *containersapi.Container) { c.Extensions["e1"] = changed.Extensions["e1"] },
	} {
		t.Run(path, func(t *testing.T) {
			sub := e.with(t).sub()
			sub.container(full("c"))
			_, err := sub.updateContainer(changed, path)
			ok(t, err)
			want := full("c")
			expect(want)
			sameRecord(t, sub.getContainer("c"), want)
		})
	}
	e.container(full("c"))
	for _, path := range []string{"snapshotter", "runtime", "runtime.name", "id", "sandbox", "nope", "created_at"} {
		_, err := e.updateContainer(changed, path)
		wantCode(t, err, codes.InvalidArgument, path)
	}
	e.container(containerOf("bare"))
	bare := containerOf("bare")
	bare.SnapshotKey = "k"
	_, err := e.updateContainer(bare, "snapshotkey")
	wantCode(t, err, codes.InvalidArgument)
	sameRecord(t, e.getContainer("c"), full("c"))
}

func TestL049_ContainerExtensionWithoutValue(t *testing.T) {
	gantryOnly(t, "a mask for an absent extension stores a null")
	e := newEnv(t)
	e.container(full("c"))
	_, err := e.updateContainer(containerOf("c"), "extensions.e1")
	wantCode(t, err, codes.InvalidArgument)
	sameRecord(t, e.getContainer("c"), full("c"))
}

func TestL050_ContainerBadPathAmongGood(t *testing.T) {
	e := newEnv(t)
	e.container(full("c"))
	c := full("c")
	c.Image, c.Labels = "changed", map[string]string{"x": "changed"}
	_, err := e.updateContainer(c, "image", "labels.x", "nope")
	wantCode(t, err, codes.InvalidArgument, "nope")
	sameRecord(t, e.getContainer("c"), full("c"))
}

func TestL051_ContainerExtensionRemoval(t *testing.T) {
	gantryOnly(t, "a removed extension is back on the next Get")
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "ext"})
	e := d.env(t)
	e.container(full("c"))
	c := full("c")
	delete(c.Extensions, "e1")
	_, err := e.updateContainer(c, "extensions")
	ok(t, err)
	sameRecord(t, e.getContainer("c"), c)
	d.stop(t)
	d.restart(t)
	sameRecord(t, e.getContainer("c"), c)
}

func TestL052_ContainerTimes(t *testing.T) {
	e := newEnv(t)
	before := e.container(full("c"))
	for i := range 5 {
		c := full("c")
		c.Image = fmt.Sprint(i)
		after, err := e.updateContainer(c, "image")
		ok(t, err)
		if !after.UpdatedAt.AsTime().After(before.UpdatedAt.AsTime()) {
			t.Errorf("updated_at did not grow: %v, %v", before.UpdatedAt.AsTime(), after.UpdatedAt.AsTime())
		}
		equal(t, "created_at", after.CreatedAt.AsTime(), before.CreatedAt.AsTime())
		before = after
	}
}

func TestL053_ContainerListStream(t *testing.T) {
	e := newEnv(t)
	var want []string
	for i := range 9 {
		c := containerOf(fmt.Sprintf("c%d", i))
		c.Spec.Value = bytes.Repeat([]byte{byte(i)}, 2<<20)
		e.container(c)
		want = append(want, c.ID)
	}
	_, err := e.containers().List(e.ctx, &containersapi.ListContainersRequest{})
	wantCode(t, err, codes.ResourceExhausted)
	messages, err := drain(e.containers().ListStream(e.ctx, &containersapi.ListContainersRequest{}))
	ok(t, err)
	var got []string
	for _, m := range messages {
		got = append(got, m.Container.ID)
		equal(t, "size of "+m.Container.ID, len(m.Container.Spec.Value), 2<<20)
	}
	if !slices.Equal(got, want) {
		t.Errorf("streamed %v", got)
	}
	messages, err = drain(e.containers().ListStream(e.ctx, &containersapi.ListContainersRequest{Filters: []string{"id==c3"}}))
	ok(t, err)
	equal(t, "filtered", len(messages), 1)
	all, err := e.client.Containers(e.ctx)
	ok(t, err)
	equal(t, "through the client", len(all), 9)
	for _, id := range want {
		e.deleteContainer(id)
	}
}

func TestL054_ContainerDeleteFreesSnapshot(t *testing.T) {
	e := newEnv(t)
	_, err := e.containers().Delete(e.ctx, &containersapi.DeleteContainerRequest{ID: "absent"})
	wantCode(t, err, codes.NotFound)
	lease := e.lease("", nil)
	e.leased(lease).prepare("key", "", nil)
	e.container(full("c"))
	e.deleteLease(lease, true)
	if !e.hasSnapshot("key") {
		t.Fatal("the container does not keep its snapshot")
	}
	e.deleteContainer("c")
	_, err = e.containers().Get(e.ctx, &containersapi.GetContainerRequest{ID: "c"})
	wantCode(t, err, codes.NotFound)
	e.gc()
	if e.hasSnapshot("key") {
		t.Error("the snapshot outlives its container")
	}
}

func TestL055_ContainerSurvivesRestart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "keep"})
	e := d.env(t)
	before := e.container(full("c"))
	d.stop(t)
	d.restart(t)
	after := e.getContainer("c")
	if !proto.Equal(before, after) {
		t.Errorf("got\n%v\nwant\n%v", after, before)
	}
}

func TestL056_ContainerEvents(t *testing.T) {
	e := newEnv(t)
	events := e.subscribe(`topic~="^/containers/"`)
	e.container(full("c"))
	c := full("c")
	c.Labels, c.SnapshotKey = map[string]string{"z": "3"}, "other"
	_, err := e.updateContainer(c, "labels", "snapshotkey")
	ok(t, err)
	e.deleteContainer("c")

	created := decode[*eventtypes.ContainerCreate](events.want(t, "/containers/create", e.ns))
	equal(t, "created id", created.ID, "c")
	equal(t, "created image", created.Image, "image")
	equal(t, "created runtime", created.Runtime.Name, runcName)
	equal(t, "created options", created.Runtime.Options.GetTypeUrl(), "a.Options")
	updated := decode[*eventtypes.ContainerUpdate](events.want(t, "/containers/update", e.ns))
	equal(t, "updated id", updated.ID, "c")
	equal(t, "updated image", updated.Image, "image")
	equal(t, "updated key", updated.SnapshotKey, "other")
	if !maps.Equal(updated.Labels, map[string]string{"z": "3"}) {
		t.Errorf("updated labels %v", updated.Labels)
	}
	equal(t, "deleted id", decode[*eventtypes.ContainerDelete](events.want(t, "/containers/delete", e.ns)).ID, "c")
}
