// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"maps"
	"testing"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	mountsapi "github.com/containerd/containerd/api/services/mounts/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	sandboxapi "github.com/containerd/containerd/api/services/sandbox/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	versionapi "github.com/containerd/containerd/api/services/version/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// labelled is one kind of object with labels: how to make it, and how to replace its labels.
type labelled struct {
	kind    string
	create  func(e *env, labels map[string]string) error
	replace func(e *env, labels map[string]string) (map[string]string, error)
	read    func(e *env) map[string]string
}

func labelledKinds() []labelled {
	return []labelled{
		{"namespace", createLabelledNamespace, replaceNamespaceLabels, readNamespaceLabels},
		{"container", createLabelledContainer, replaceContainerLabels, readContainerLabels},
		{"content", createLabelledContent, replaceContentLabels, readContentLabels},
		{"image", createLabelledImage, replaceImageLabels, readImageLabels},
		{"snapshot", createLabelledSnapshot, replaceSnapshotLabels, readSnapshotLabels},
	}
}

func createLabelledNamespace(e *env, labels map[string]string) error {
	_, err := e.namespaces().Create(e.ctx, &namespacesapi.CreateNamespaceRequest{
		Namespace: &namespacesapi.Namespace{Name: e.ns + "-x", Labels: labels}})
	return err
}

func replaceNamespaceLabels(e *env, labels map[string]string) (map[string]string, error) {
	_, err := e.namespaces().Update(e.ctx, &namespacesapi.UpdateNamespaceRequest{
		Namespace: &namespacesapi.Namespace{Name: e.ns + "-x", Labels: labels}})
	return nil, err
}

func readNamespaceLabels(e *env) map[string]string {
	answer, err := e.namespaces().Get(e.ctx, &namespacesapi.GetNamespaceRequest{Name: e.ns + "-x"})
	ok(e.t, err)
	return answer.Namespace.Labels
}

func createLabelledContainer(e *env, labels map[string]string) error {
	c := containerOf("c")
	c.Labels = labels
	_, err := e.containers().Create(e.ctx, &containersapi.CreateContainerRequest{Container: c})
	return err
}

func replaceContainerLabels(e *env, labels map[string]string) (map[string]string, error) {
	c := containerOf("c")
	c.Labels = labels
	answer, err := e.containers().Update(e.ctx, &containersapi.UpdateContainerRequest{
		Container: c, UpdateMask: mask("labels")})
	return answer.GetContainer().GetLabels(), err
}

func readContainerLabels(e *env) map[string]string { return e.getContainer("c").Labels }

const labelledBlob = "labelled"

var labelledDigest = digestOf(labelledBlob)

func createLabelledContent(e *env, labels map[string]string) error {
	w := e.openWriter("labelled", 0, "")
	defer w.close()
	_, err := w.tryCommit(labelledBlob, 0, 0, "", labels)
	return err
}

func replaceContentLabels(e *env, labels map[string]string) (map[string]string, error) {
	answer, err := e.content().Update(e.ctx, &contentapi.UpdateRequest{
		Info: &contentapi.Info{Digest: labelledDigest, Labels: labels}})
	return answer.GetInfo().GetLabels(), err
}

func readContentLabels(e *env) map[string]string {
	answer, err := e.content().Info(e.ctx, &contentapi.InfoRequest{Digest: labelledDigest})
	ok(e.t, err)
	return answer.Info.Labels
}

func createLabelledImage(e *env, labels map[string]string) error {
	_, err := e.images().Create(e.ctx, &imagesapi.CreateImageRequest{Image: imageOf("i", someDigest, labels)})
	return err
}

func replaceImageLabels(e *env, labels map[string]string) (map[string]string, error) {
	answer, err := e.images().Update(e.ctx, &imagesapi.UpdateImageRequest{Image: imageOf("i", someDigest, labels)})
	return answer.GetImage().GetLabels(), err
}

func readImageLabels(e *env) map[string]string {
	answer, err := e.images().Get(e.ctx, &imagesapi.GetImageRequest{Name: "i"})
	ok(e.t, err)
	return answer.Image.Labels
}

func createLabelledSnapshot(e *env, labels map[string]string) error {
	_, err := e.snapshots().Prepare(e.ctx, &snapshotsapi.PrepareSnapshotRequest{
		Snapshotter: overlayfs, Key: "s", Labels: labels})
	return err
}

func replaceSnapshotLabels(e *env, labels map[string]string) (map[string]string, error) {
	answer, err := e.snapshots().Update(e.ctx, &snapshotsapi.UpdateSnapshotRequest{
		Snapshotter: overlayfs, Info: &snapshotsapi.Info{Name: "s", Labels: labels}})
	return answer.GetInfo().GetLabels(), err
}

func readSnapshotLabels(e *env) map[string]string {
	info, err := e.stat("s")
	ok(e.t, err)
	return info.Labels
}

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

func TestL008_LabelLimit(t *testing.T) {
	e := newEnv(t).held()
	for _, kind := range labelledKinds() {
		t.Run(kind.kind, func(t *testing.T) {
			e := e.with(t)
			wantCode(t, kind.create(e, labelOf(4097)), codes.InvalidArgument)
			ok(t, kind.create(e, labelOf(4096)))
			if got := kind.read(e); !maps.Equal(got, labelOf(4096)) {
				t.Errorf("stored %d labels", len(got))
			}
			if kind.kind == "namespace" {
				gantryOnly(t, "Namespaces/Update lets the label error out as Unknown")
			}
			_, err := kind.replace(e, labelOf(4097))
			wantCode(t, err, codes.InvalidArgument)
		})
	}
	t.Run("lease", func(t *testing.T) {
		gantryOnly(t, "lease labels are not checked")
		_, err := e.leases().Create(e.ctx, &leasesapi.CreateRequest{ID: "l", Labels: labelOf(4097)})
		wantCode(t, err, codes.InvalidArgument)
	})
	t.Run("mount", func(t *testing.T) {
		gantryOnly(t, "labels of activations are not checked")
		_, err := e.with(t).activate("m", false, labelOf(4097), bind(t.TempDir()), formatted("{{ mount 0 }}"))
		wantCode(t, err, codes.InvalidArgument)
	})
}

func TestL009_EmptyLabelDeletes(t *testing.T) {
	e := newEnv(t).held()
	for _, kind := range labelledKinds() {
		t.Run(kind.kind, func(t *testing.T) {
			e := e.with(t)
			ok(t, kind.create(e, map[string]string{"keep": "1", "gone": ""}))
			if got := kind.read(e); !maps.Equal(got, map[string]string{"keep": "1"}) {
				t.Errorf("created with %v", got)
			}
			answered, err := kind.replace(e, map[string]string{"keep": "", "new": "2"})
			ok(t, err)
			if got := kind.read(e); !maps.Equal(got, map[string]string{"new": "2"}) {
				t.Errorf("replaced by %v", got)
			}
			if kind.kind != "namespace" && !maps.Equal(answered, map[string]string{"new": "2"}) {
				t.Errorf("update answered %v", answered)
			}
			_, err = kind.replace(e, map[string]string{"new": ""})
			ok(t, err)
			if got := kind.read(e); len(got) != 0 {
				t.Errorf("labels are left: %v", got)
			}
		})
	}
}

func TestL010_NullSubMessages(t *testing.T) {
	gantryOnly(t, "a null sub-message takes the daemon down")
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "null"}).env(t)
	for name, call := range nullCalls(e) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(e.ctx, scaled(10*time.Second))
			defer cancel()
			wantCode(t, call(ctx), codes.InvalidArgument)
			_, err := versionapi.NewVersionClient(e.conn).Version(ctx, &emptypb.Empty{})
			ok(t, err)
		})
	}
}

func nullCalls(e *env) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"container create": func(ctx context.Context) error {
			_, err := e.containers().Create(ctx, &containersapi.CreateContainerRequest{})
			return err
		},
		"container update": func(ctx context.Context) error {
			_, err := e.containers().Update(ctx, &containersapi.UpdateContainerRequest{})
			return err
		},
		"container without runtime": func(ctx context.Context) error {
			c := containerOf("c")
			c.Runtime = nil
			_, err := e.containers().Create(ctx, &containersapi.CreateContainerRequest{Container: c})
			return err
		},
		"container without spec": func(ctx context.Context) error {
			c := containerOf("c")
			c.Spec = nil
			_, err := e.containers().Create(ctx, &containersapi.CreateContainerRequest{Container: c})
			return err
		},
		"image create": func(ctx context.Context) error {
			_, err := e.images().Create(ctx, &imagesapi.CreateImageRequest{})
			return err
		},
		"image without target": func(ctx context.Context) error {
			_, err := e.images().Create(ctx, &imagesapi.CreateImageRequest{Image: &imagesapi.Image{Name: "i"}})
			return err
		},
		"image update": func(ctx context.Context) error {
			_, err := e.images().Update(ctx, &imagesapi.UpdateImageRequest{})
			return err
		},
		"namespace create": func(ctx context.Context) error {
			_, err := e.namespaces().Create(ctx, &namespacesapi.CreateNamespaceRequest{})
			return err
		},
		"namespace update": func(ctx context.Context) error {
			_, err := e.namespaces().Update(ctx, &namespacesapi.UpdateNamespaceRequest{})
			return err
		},
		"content update": func(ctx context.Context) error {
			_, err := e.content().Update(ctx, &contentapi.UpdateRequest{})
			return err
		},
		"content commit of a digest without separator": func(ctx context.Context) error {
			stream, err := e.content().Write(ctx)
			if err != nil {
				return err
			}
			_ = stream.Send(&contentapi.WriteContentRequest{Action: contentapi.WriteAction_COMMIT, Ref: "r",
				Data: []byte("x"), Expected: "abc"})
			_, err = stream.Recv()
			return err
		},
		"snapshot update": func(ctx context.Context) error {
			_, err := e.snapshots().Update(ctx, &snapshotsapi.UpdateSnapshotRequest{Snapshotter: overlayfs})
			return err
		},
		"snapshot without key": func(ctx context.Context) error {
			_, err := e.snapshots().Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Snapshotter: overlayfs})
			return err
		},
		"view without key": func(ctx context.Context) error {
			_, err := e.snapshots().View(ctx, &snapshotsapi.ViewSnapshotRequest{Snapshotter: overlayfs})
			return err
		},
		"snapshot commit without key": func(ctx context.Context) error {
			_, err := e.snapshots().Commit(ctx, &snapshotsapi.CommitSnapshotRequest{Snapshotter: overlayfs, Name: "n"})
			return err
		},
		"snapshot commit without name": func(ctx context.Context) error {
			_, err := e.snapshots().Commit(ctx, &snapshotsapi.CommitSnapshotRequest{Snapshotter: overlayfs, Key: "k"})
			return err
		},
		"lease resource": func(ctx context.Context) error {
			_, err := e.leases().AddResource(ctx, &leasesapi.AddResourceRequest{ID: e.lease("", nil)})
			return err
		},
		"lease resource to delete": func(ctx context.Context) error {
			_, err := e.leases().DeleteResource(ctx, &leasesapi.DeleteResourceRequest{ID: e.lease("", nil)})
			return err
		},
		"diff apply": func(ctx context.Context) error {
			_, err := e.diff().Apply(ctx, &diffapi.ApplyRequest{})
			return err
		},
		"events publish": func(ctx context.Context) error {
			_, err := e.events().Publish(ctx, &eventsapi.PublishRequest{Topic: "/a/b"})
			return err
		},
		"events publish of an event without type": func(ctx context.Context) error {
			_, err := e.events().Publish(ctx, &eventsapi.PublishRequest{Topic: "/a/b", Event: anyOf("", "x")})
			return err
		},
		"events forward": func(ctx context.Context) error {
			_, err := e.events().Forward(ctx, &eventsapi.ForwardRequest{})
			return err
		},
		"mount without name": func(ctx context.Context) error {
			_, err := e.mounts().Activate(ctx, &mountsapi.ActivateRequest{
				Mounts: []*types.Mount{{Type: "format/bind", Source: "/"}}})
			return err
		},
		"sandbox create": func(ctx context.Context) error {
			_, err := e.sandboxes().Create(ctx, &sandboxapi.StoreCreateRequest{})
			return err
		},
		"sandbox update": func(ctx context.Context) error {
			_, err := e.sandboxes().Update(ctx, &sandboxapi.StoreUpdateRequest{})
			return err
		},
		"exec without id": func(ctx context.Context) error {
			_, err := e.tasks().Exec(ctx, &tasksapi.ExecProcessRequest{ContainerID: "c"})
			return err
		},
	}
}

func TestL011_AnyRoundTrip(t *testing.T) {
	e := newEnv(t)
	binary := string([]byte{0xff, 0x00, 0x0a, 0x03, 0x80, 0x01})
	for i, url := range []string{"made.up.Type", "type.googleapis.com/made.up.Type",
		"types.containerd.io/opencontainers/runtime-spec/1/Spec"} {
		c := containerOf("c" + string(rune('0'+i)))
		c.Spec = anyOf(url, binary)
		c.Runtime.Options = anyOf(url, binary)
		c.Extensions = anyMap("ext", anyOf(url, binary))
		e.container(c)
		got := e.getContainer(c.ID)
		for what, value := range map[string]anyValue{"spec": got.Spec, "options": got.Runtime.Options,
			"extension": got.Extensions["ext"]} {
			if value.GetTypeUrl() != url || !bytes.Equal(value.GetValue(), []byte(binary)) {
				t.Errorf("%s of type %s came back as %v", what, url, value)
			}
		}
	}
}

func TestL013_ClientTimesAreIgnored(t *testing.T) {
	e := newEnv(t).held()
	past := timestamppb.New(time.Unix(1000, 0))
	start := time.Now().Add(-time.Minute)
	check := func(what string, times ...*timestamppb.Timestamp) {
		t.Helper()
		for _, got := range times {
			if got.AsTime().Before(start) || got.AsTime().After(time.Now().Add(time.Minute)) {
				t.Errorf("%s has time %v", what, got.AsTime())
			}
		}
	}
	c := containerOf("c")
	c.CreatedAt, c.UpdatedAt = past, past
	stored := e.container(c)
	check("container", stored.CreatedAt, stored.UpdatedAt)

	image := imageOf("i", someDigest, nil)
	image.CreatedAt, image.UpdatedAt = past, past
	created, err := e.images().Create(e.ctx, &imagesapi.CreateImageRequest{Image: image})
	ok(t, err)
	check("image", created.Image.CreatedAt, created.Image.UpdatedAt)

	dgst := e.blob("timed", nil)
	info, err := e.content().Update(e.ctx, &contentapi.UpdateRequest{Info: &contentapi.Info{
		Digest: dgst, CreatedAt: past, UpdatedAt: past, Size: 77}})
	ok(t, err)
	check("content", info.Info.CreatedAt, info.Info.UpdatedAt)

	e.prepare("s", "", nil)
	snapshot, err := e.snapshots().Update(e.ctx, &snapshotsapi.UpdateSnapshotRequest{Snapshotter: overlayfs,
		Info: &snapshotsapi.Info{Name: "s", CreatedAt: past, UpdatedAt: past}})
	ok(t, err)
	check("snapshot", snapshot.Info.CreatedAt, snapshot.Info.UpdatedAt)

	sandbox := sandboxOf("s")
	sandbox.CreatedAt, sandbox.UpdatedAt = past, past
	record, err := e.sandboxes().Create(e.ctx, &sandboxapi.StoreCreateRequest{Sandbox: sandbox})
	ok(t, err)
	check("sandbox", record.Sandbox.CreatedAt, record.Sandbox.UpdatedAt)
}
