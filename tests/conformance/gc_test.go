// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	labelContent  = "containerd.io/gc.ref.content"
	labelImage    = "containerd.io/gc.ref.image"
	labelSnapshot = "containerd.io/gc.ref.snapshot.overlayfs"
)

// garden makes objects under a lease whose end leaves each to its own merits.
type garden struct {
	*env
	temporary string
}

func newGarden(t *testing.T) *garden {
	e := newEnv(t)
	lease := e.lease("", nil)
	return &garden{e.leased(lease), lease}
}

// plant makes a blob.
func (g *garden) plant(name string, labels map[string]string) string {
	g.t.Helper()
	return g.blob(name+" of "+g.ns, labels)
}

// harvest ends the lease and collects.
func (g *garden) harvest() {
	g.t.Helper()
	g.deleteLease(g.temporary, true)
}

// check compares what is left with what should be.
func (g *garden) check(what string, left, want bool) {
	g.t.Helper()
	if left != want {
		g.t.Errorf("%s: is left %v, want %v", what, left, want)
	}
}

func TestL170_RootsAndReferences(t *testing.T) {
	g := newGarden(t)
	blobs := map[string]string{}
	for _, name := range []string{"nothing", "image", "container", "lease", "ingest", "snapshot", "sandbox"} {
		blobs[name] = g.plant(name, nil)
	}
	blobs["root"] = g.plant("root", map[string]string{"containerd.io/gc.root": "1"})
	blobs["root with suffix"] = g.plant("suffix", map[string]string{"containerd.io/gc.root.x": "1"})
	blobs["image tree"] = g.plant("tree", map[string]string{labelContent + ".0": blobs["image"]})
	g.image("i", blobs["image tree"], nil)
	c := containerOf("c")
	c.Labels = map[string]string{labelContent: blobs["container"], labelSnapshot + "/x": "of container"}
	c.Snapshotter, c.SnapshotKey = overlayfs, "used"
	g.container(c)
	s := sandboxOf("s")
	s.Labels = map[string]string{labelContent: blobs["sandbox"]}
	_, err := g.createSandbox(s)
	ok(t, err)
	g.layer("base", "", map[string]string{labelContent: blobs["snapshot"]})
	for _, key := range []string{"used", "of container", "orphan"} {
		g.prepare(key, "base", nil)
	}
	g.prepare("root", "", rooted())
	keeper := g.lease("keeper", nil)
	ok(t, g.addResource(keeper, "content", blobs["lease"]))
	other := g.sub()
	other.openWriter("live", 0, blobs["ingest"]).close()

	g.harvest()
	for name, dgst := range blobs {
		if name == "ingest" {
			g.check("file of "+name, exists(g.blobPath(dgst)), true)
			continue
		}
		g.check("blob of "+name, g.hasBlob(dgst), name != "nothing")
	}
	for _, key := range []string{"used", "of container", "base", "root"} {
		g.check("snapshot "+key, g.hasSnapshot(key), true)
	}
	g.check("snapshot orphan", g.hasSnapshot("orphan"), false)
	g.check("file of nothing", exists(g.blobPath(blobs["nothing"])), false)
}

func TestL171_ReferenceLabelForms(t *testing.T) {
	g := newGarden(t)
	want := map[string]bool{}
	labels := map[string]string{}
	for suffix, counts := range map[string]bool{"": true, ".x": true, "/x": true, ".a.b/c": true, "x": false, "-x": false} {
		dgst := g.plant("for "+suffix, nil)
		labels[labelContent+suffix] = dgst
		want[dgst] = counts
	}
	images := map[string]bool{}
	for suffix, counts := range map[string]bool{"": true, ".x": true, "/x": true, "x": false} {
		name := "image" + suffix
		labels[labelImage+suffix] = name
		images[name] = counts
		g.env.image(name, someDigest, map[string]string{labelExpire: expired()})
	}
	g.image("holder", someDigest, labels)
	g.harvest()
	for dgst, counts := range want {
		g.check(dgst, g.hasBlob(dgst), counts)
	}
	for name, counts := range images {
		g.check(name, g.hasImage(name), counts)
	}
}

// TestL171_CollectibleReferences keeps activated mounts and streams by labels of an image, which tells them from what a
// lease alone kept.
func TestL171_CollectibleReferences(t *testing.T) {
	e := ownEnv(t)
	lease := e.lease("", nil)
	maker := e.leased(lease)
	labels, kept := map[string]string{}, []string{}
	ends := map[string]chan error{}
	for _, suffix := range []string{"", ".x", "/x", "x"} {
		name := "by " + suffix
		_, err := maker.activate(name, false, nil, bind(folderWith(t, "a")), formatted("{{ mount 0 }}"))
		ok(t, err)
		stream, _, _, err := maker.openStream(streamInit(name))
		ok(t, err)
		ended := make(chan error, 1)
		go func() { _, err := stream.Recv(); ended <- err }()
		labels["containerd.io/gc.ref.mount"+suffix], labels["containerd.io/gc.ref.stream"+suffix] = name, name
		ends[name] = ended
		if suffix != "x" {
			kept = append(kept, name)
		}
	}
	slices.Sort(kept)
	e.image("i", someDigest, labels)
	e.deleteLease(lease, true)
	if got := e.listActivations(); !slices.Equal(got, kept) {
		t.Errorf("activations %v, want %v", got, kept)
	}
	within(t, "the end of the stream without reference", func() error { return <-ends["by x"] })
	for _, name := range kept {
		select {
		case err := <-ends[name]:
			t.Errorf("stream %q ended: %v", name, err)
		default:
		}
	}
	e.deleteImage("i", true)
	equal(t, "activations left", len(e.listActivations()), 0)
	for _, name := range kept {
		within(t, "the end of stream "+name, func() error { return <-ends[name] })
	}
}

func TestL172_SnapshotterWithDots(t *testing.T) {
	t.Parallel()
	p := startProxysnap(t, "native", "snapshots")
	d := startDaemon(t, daemonOptions{name: "dots",
		config: fmt.Sprintf("[proxy_plugins.'a.b']\ntype = 'snapshot'\naddress = %q\n", p.socket())})
	e := d.env(t)
	lease := e.lease("", nil)
	prepare := func(key string) {
		t.Helper()
		held := e.leased(lease)
		_, err := held.snapshots().Prepare(held.ctx, &snapshotsapi.PrepareSnapshotRequest{Snapshotter: "a.b", Key: key})
		ok(t, err)
	}
	for _, key := range []string{"slash", "plain", "orphan"} {
		prepare(key)
	}
	e.image("i", someDigest, map[string]string{
		"containerd.io/gc.ref.snapshot.a.b/name": "slash", "containerd.io/gc.ref.snapshot.a.b": "plain"})
	e.deleteLease(lease, true)
	for key, want := range map[string]codes.Code{"slash": codes.OK, "plain": codes.OK, "orphan": codes.NotFound} {
		_, err := e.snapshots().Stat(e.ctx, &snapshotsapi.StatSnapshotRequest{Snapshotter: "a.b", Key: key})
		equal(t, key, status.Code(err), want)
	}
}

func TestL173_BackReferences(t *testing.T) {
	g := newGarden(t)
	g.image("i", someDigest, nil)
	g.container(containerOf("c"))
	byImage := g.plant("image", map[string]string{"containerd.io/gc.bref.image": "i"})
	byContainer := g.plant("container", map[string]string{"containerd.io/gc.bref.container.x": "c"})
	chained := g.plant("chained", map[string]string{"containerd.io/gc.bref.content/y": byImage})
	dangling := g.plant("dangling", map[string]string{"containerd.io/gc.bref.image": "absent"})
	malformed := g.plant("malformed", map[string]string{"containerd.io/gc.bref.imagex": "i"})
	g.layer("of image", "", map[string]string{"containerd.io/gc.bref.image": "i"})
	bySnapshot := g.plant("snapshot", map[string]string{"containerd.io/gc.bref.snapshot.overlayfs": "of image"})
	g.harvest()
	for what, row := range map[string]struct {
		dgst string
		want bool
	}{"image": {byImage, true}, "container": {byContainer, true}, "chained": {chained, true},
		"dangling": {dangling, false}, "malformed": {malformed, false}, "snapshot": {bySnapshot, true}} {
		g.check(what, g.hasBlob(row.dgst), row.want)
	}
	g.check("snapshot", g.hasSnapshot("of image"), true)
	g.deleteContainer("c")
	g.deleteImage("i", true)
	for _, dgst := range []string{byImage, byContainer, chained, bySnapshot} {
		g.check(dgst, g.hasBlob(dgst), false)
	}
	g.check("snapshot", g.hasSnapshot("of image"), false)
}

func TestL174_ConditionalReferences(t *testing.T) {
	g := newGarden(t)
	usedAt := func(ago time.Duration) map[string]string {
		return map[string]string{"containerd.io/gc.cond.value-usedat": time.Now().Add(-ago).UTC().Format(time.RFC3339)}
	}
	g.layer("recent", "", usedAt(time.Minute))
	g.layer("old", "", usedAt(3*time.Hour))
	g.layer("oldest", "", usedAt(48*time.Hour))
	g.layer("unknown", "", nil)
	const condition = "containerd.io/gc.cond.snapshot.overlayfs"
	g.image("i", someDigest, map[string]string{
		condition + "/a": "usedat<1h|recent",
		condition + "/b": "usedat<1h|old",
		condition + "/c": "usedat<1h,usedat>24h|oldest",
		condition + "/d": "usedat<1h|unknown",
	})
	g.harvest()
	g.check("recent", g.hasSnapshot("recent"), true)
	g.check("old", g.hasSnapshot("old"), false)
	g.check("oldest", g.hasSnapshot("oldest"), true)
	g.check("unknown", g.hasSnapshot("unknown"), false)
}

func TestL175_ReferencesStayInTheirNamespace(t *testing.T) {
	g := newGarden(t)
	dgst := g.plant("mine", nil)
	g.layer("mine", "", nil)
	other := g.sub()
	other.image("i", dgst, map[string]string{labelContent: dgst, labelSnapshot: "mine"})
	g.harvest()
	g.check("blob", g.hasBlob(dgst), false)
	g.check("snapshot", g.hasSnapshot("mine"), false)
}

func TestL176_L177_RootAndExpiryLabels(t *testing.T) {
	g := newGarden(t)
	kept := []string{}
	for _, value := range []string{"false", "0", "no", "x"} {
		kept = append(kept, g.plant("root "+value, map[string]string{"containerd.io/gc.root": value}))
	}
	g.layer("root", "", map[string]string{"containerd.io/gc.root": "false"})
	// An expiry on content neither kills what is kept nor keeps what is not.
	expiring := g.plant("kept", map[string]string{labelExpire: expired(), "containerd.io/gc.root": "1"})
	young := g.plant("young", map[string]string{labelExpire: later()})
	g.harvest()
	for _, dgst := range append(kept, expiring) {
		g.check(dgst, g.hasBlob(dgst), true)
	}
	g.check("snapshot", g.hasSnapshot("root"), true)
	g.check("young", g.hasBlob(young), false)
}

func TestL178_Cycle(t *testing.T) {
	g := newGarden(t)
	// Two blobs that name each other: labels are set after both exist.
	a, b := g.plant("a", nil), g.plant("b", nil)
	for _, row := range [][2]string{{a, b}, {b, a}} {
		_, err := g.client.ContentStore().Update(g.ctx, infoOf(row[0], labelContent, row[1]), "labels."+labelContent)
		ok(t, err)
	}
	g.harvest()
	g.check("a", g.hasBlob(a), false)
	g.check("b", g.hasBlob(b), false)
}

// TestL178_DeepChain hangs ten thousand expired images one below the other.
func TestL178_DeepChain(t *testing.T) {
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "deep", config: "[plugins.'io.containerd.metadata.v1.bolt']\nno_sync = true\n"}).env(t)
	const depth = 10000
	lease := e.lease("", nil)
	held := e.leased(lease)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := worker; i < depth; i += 8 {
				_, err := held.images().Create(held.ctx, &imagesapi.CreateImageRequest{Image: imageOf(
					fmt.Sprintf("i%d", i), someDigest, map[string]string{labelExpire: expired(), labelImage: fmt.Sprintf("i%d", i+1)})})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	e.image("top", someDigest, map[string]string{labelImage: "i0"})
	e.deleteLease(lease, true)
	answer, err := e.images().List(e.ctx, &imagesapi.ListImagesRequest{})
	ok(t, err)
	equal(t, "images under the top", len(answer.Images), depth+1)
	e.deleteImage("top", true)
	answer, err = e.images().List(e.ctx, &imagesapi.ListImagesRequest{})
	ok(t, err)
	equal(t, "images left", len(answer.Images), 0)
}
