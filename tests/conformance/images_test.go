// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"maps"
	"testing"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/go-digest"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func (e *env) getImage(name string) *imagesapi.Image {
	e.t.Helper()
	answer, err := e.images().Get(e.ctx, &imagesapi.GetImageRequest{Name: name})
	ok(e.t, err)
	return answer.Image
}

func (e *env) tryImage(image *imagesapi.Image) error {
	_, err := e.images().Create(e.ctx, &imagesapi.CreateImageRequest{Image: image})
	return err
}

func (e *env) updateImage(image *imagesapi.Image, paths ...string) (*imagesapi.Image, error) {
	answer, err := e.images().Update(e.ctx, &imagesapi.UpdateImageRequest{Image: image, UpdateMask: mask(paths...)})
	return answer.GetImage(), err
}

// expired and later are values for expiry labels.
func expired() string { return time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) }
func later() string   { return time.Now().Add(time.Hour).UTC().Format(time.RFC3339) }

const labelExpire = "containerd.io/gc.expire"

func TestL091_ImageCreateValidation(t *testing.T) {
	e := newEnv(t)
	for name, spoil := range map[string]func(i *imagesapi.Image){
		"empty name":       func(i *imagesapi.Image) { i.Name = "" },
		"long label":       func(i *imagesapi.Image) { i.Labels = labelOf(4097) },
		"empty digest":     func(i *imagesapi.Image) { i.Target.Digest = "" },
		"malformed digest": func(i *imagesapi.Image) { i.Target.Digest = "sha256:abc" },
		"no algorithm":     func(i *imagesapi.Image) { i.Target.Digest = "md5:d41d8cd98f00b204e9800998ecf8427e" },
		"size zero":        func(i *imagesapi.Image) { i.Target.Size = 0 },
		"negative size":    func(i *imagesapi.Image) { i.Target.Size = -1 },
		"no media type":    func(i *imagesapi.Image) { i.Target.MediaType = "" },
	} {
		t.Run(name, func(t *testing.T) {
			image := imageOf("i", someDigest, nil)
			spoil(image)
			wantCode(t, e.tryImage(image), codes.InvalidArgument)
		})
	}
	ok(t, e.tryImage(imageOf("any name / at all", someDigest, nil)))
	wantCode(t, e.tryImage(imageOf("any name / at all", someDigest, nil)), codes.AlreadyExists)
	_, err := e.images().Get(e.ctx, &imagesapi.GetImageRequest{Name: "absent"})
	wantCode(t, err, codes.NotFound)
	_, err = e.updateImage(imageOf("absent", someDigest, nil))
	wantCode(t, err, codes.NotFound)
	_, err = e.updateImage(imageOf("", someDigest, nil))
	wantCode(t, err, codes.InvalidArgument)
	_, err = e.images().Delete(e.ctx, &imagesapi.DeleteImageRequest{Name: "absent"})
	wantCode(t, err, codes.NotFound)
}

func TestL092_SourceDateEpoch(t *testing.T) {
	e := newEnv(t)
	epoch, second := timestamppb.New(time.Unix(1e9, 5)), timestamppb.New(time.Unix(2e9, 7))
	answer, err := e.images().Create(e.ctx, &imagesapi.CreateImageRequest{
		Image: imageOf("i", someDigest, nil), SourceDateEpoch: epoch})
	ok(t, err)
	equal(t, "created_at", answer.Image.CreatedAt.AsTime(), epoch.AsTime())
	equal(t, "updated_at", answer.Image.UpdatedAt.AsTime(), epoch.AsTime())
	_, err = e.images().Update(e.ctx, &imagesapi.UpdateImageRequest{
		Image: imageOf("i", someDigest, nil), SourceDateEpoch: second})
	ok(t, err)
	stored := e.getImage("i")
	equal(t, "created_at", stored.CreatedAt.AsTime(), epoch.AsTime())
	equal(t, "updated_at", stored.UpdatedAt.AsTime(), second.AsTime())
}

func TestL093_ImageMasks(t *testing.T) {
	e := newEnv(t)
	original := func() *imagesapi.Image {
		image := imageOf("i", someDigest, map[string]string{"k": "1", "l": "2"})
		image.Target.Annotations = map[string]string{"x": "old", "z": "old"}
		return image
	}
	changed := imageOf("i", digestOf("other"), map[string]string{"k": "new"})
	changed.Target.Size, changed.Target.MediaType = 77, layerTar
	changed.Target.Annotations = map[string]string{"x": "new"}
	for path, expect := range map[string]func(i *imagesapi.Image){
		"target":        func(i *imagesapi.Image) { i.Target = changed.Target },
		"annotations.x": func(i *imagesapi.Image) { i.Target.Annotations["x"] = "new" },
		"annotations":   func(i *imagesapi.Image) { i.Target.Annotations = changed.Target.Annotations },
		"labels":        func(i *imagesapi.Image) { i.Labels = changed.Labels },
		"labels.k":      func(i *imagesapi.Image) { i.Labels["k"] = "new" },
		"labels.l":      func(i *imagesapi.Image) { delete(i.Labels, "l") },
	} {
		t.Run(path, func(t *testing.T) {
			sub := e.with(t).sub()
			ok(t, sub.tryImage(original()))
			_, err := sub.updateImage(changed, path)
			ok(t, err)
			want := original()
			expect(want)
			got := sub.getImage("i")
			if !maps.Equal(got.Labels, want.Labels) || !maps.Equal(got.Target.Annotations, want.Target.Annotations) ||
				got.Target.Digest != want.Target.Digest || got.Target.Size != want.Target.Size ||
				got.Target.MediaType != want.Target.MediaType {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	ok(t, e.tryImage(original()))
	for _, path := range []string{"name", "created_at", "target.digest", "nope"} {
		_, err := e.updateImage(changed, path)
		wantCode(t, err, codes.InvalidArgument, path)
	}
	bad := original()
	bad.Target.Size = 0
	_, err := e.updateImage(bad, "target")
	wantCode(t, err, codes.InvalidArgument)
}

func TestL094_ImageCompareAndDelete(t *testing.T) {
	e := newEnv(t)
	e.image("i", someDigest, nil)
	_, err := e.images().Delete(e.ctx, &imagesapi.DeleteImageRequest{Name: "i", Target: descriptor(digestOf("other"))})
	wantCode(t, err, codes.NotFound)
	if !e.hasImage("i") {
		t.Fatal("the image is gone")
	}
	_, err = e.images().Delete(e.ctx, &imagesapi.DeleteImageRequest{Name: "i", Target: descriptor(someDigest)})
	ok(t, err)
	e.image("i", someDigest, nil)
	_, err = e.images().Delete(e.ctx, &imagesapi.DeleteImageRequest{Name: "i", Target: &types.Descriptor{}})
	ok(t, err)
}

func TestL095_ImageDeleteSync(t *testing.T) {
	e := newEnv(t)
	lease := e.lease("", nil)
	held := e.leased(lease)
	held.layer("top", "", nil)
	layer := held.blob("layer"+e.ns, map[string]string{"containerd.io/gc.ref.snapshot.overlayfs": "top"})
	manifest := held.blob("manifest"+e.ns, map[string]string{"containerd.io/gc.ref.content.l.0": layer})
	dir := e.snapshotDir("top")
	e.image("i", manifest, nil)
	e.deleteLease(lease, true)
	for _, path := range []string{e.blobPath(layer), e.blobPath(manifest), dir} {
		if !exists(path) {
			t.Errorf("%s is gone while the image lives", path)
		}
	}
	e.deleteImage("i", true)
	for _, path := range []string{e.blobPath(layer), e.blobPath(manifest), dir} {
		if exists(path) {
			t.Errorf("%s is still there", path)
		}
	}
	if e.hasBlob(layer) || e.hasSnapshot("top") {
		t.Error("records are left")
	}
}

func TestL096_ImageEvents(t *testing.T) {
	e := newEnv(t)
	events := e.subscribe(`topic~="^/images/"`)
	e.image("i", someDigest, map[string]string{"k": "v"})
	wantCode(t, e.tryImage(imageOf("i", someDigest, nil)), codes.AlreadyExists)
	_, err := e.updateImage(imageOf("i", someDigest, map[string]string{"k": "w"}))
	ok(t, err)
	e.deleteImage("i", false)
	created := decode[*eventtypes.ImageCreate](events.want(t, "/images/create", e.ns))
	equal(t, "created", created.Name+created.Labels["k"], "iv")
	updated := decode[*eventtypes.ImageUpdate](events.want(t, "/images/update", e.ns))
	equal(t, "updated", updated.Name+updated.Labels["k"], "iw")
	equal(t, "deleted", decode[*eventtypes.ImageDelete](events.want(t, "/images/delete", e.ns)).Name, "i")
	equal(t, "type", string((&eventtypes.ImageCreate{}).ProtoReflect().Descriptor().FullName()),
		"containerd.services.images.v1.ImageCreate")
}

func TestL097_ImageExpiry(t *testing.T) {
	e := newEnv(t)
	events := e.subscribe(`topic=="/images/delete"`)
	e.image("old", someDigest, map[string]string{labelExpire: expired()})
	e.image("young", someDigest, map[string]string{labelExpire: later()})
	e.image("odd", someDigest, map[string]string{labelExpire: "not a time"})
	e.gc()
	equal(t, "old", e.hasImage("old"), false)
	equal(t, "young", e.hasImage("young"), true)
	equal(t, "odd", e.hasImage("odd"), true)
	equal(t, "deleted", decode[*eventtypes.ImageDelete](events.want(t, "/images/delete", e.ns)).Name, "old")
}

func TestL098_LeasedImageOutlivesExpiry(t *testing.T) {
	e := newEnv(t)
	lease := e.lease("", nil)
	e.leased(lease).image("old", someDigest, map[string]string{labelExpire: expired()})
	e.leased(lease).image("plain", someDigest, nil)
	wantLease(t, e.leaseHolds(lease), inLease("images", "old"))
	e.gc()
	if !e.hasImage("old") {
		t.Error("the lease does not keep the image")
	}
	e.deleteLease(lease, true)
	if e.hasImage("old") {
		t.Error("the expired image outlives its lease")
	}
	_, err := e.leased("absent").images().Create(e.leased("absent").ctx, &imagesapi.CreateImageRequest{
		Image: imageOf("n", digest.FromString("n").String(), map[string]string{labelExpire: later()})})
	wantCode(t, err, codes.NotFound)
}
