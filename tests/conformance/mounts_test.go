// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	mountsapi "github.com/containerd/containerd/api/services/mounts/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/cio"
	"google.golang.org/grpc/codes"
)

func (e *env) activate(name string, temporary bool, labels map[string]string,
	mounts ...*types.Mount) (*types.ActivationInfo, error) {
	answer, err := e.mounts().Activate(e.ctx, &mountsapi.ActivateRequest{
		Name: name, Mounts: mounts, Labels: labels, Temporary: temporary})
	return answer.GetInfo(), err
}

func (e *env) deactivate(name string) error {
	_, err := e.mounts().Deactivate(e.ctx, &mountsapi.DeactivateRequest{Name: name})
	return err
}

func (e *env) activation(name string) (*types.ActivationInfo, error) {
	answer, err := e.mounts().Info(e.ctx, &mountsapi.InfoRequest{Name: name})
	return answer.GetInfo(), err
}

func (e *env) listActivations(filters ...string) []string {
	e.t.Helper()
	messages, err := drain(e.mounts().List(e.ctx, &mountsapi.ListRequest{Filters: filters}))
	ok(e.t, err)
	var all []string
	for _, m := range messages {
		all = append(all, m.Info.Name)
	}
	slices.Sort(all)
	return all
}

func bind(source string) *types.Mount {
	return &types.Mount{Type: "bind", Source: source, Options: []string{"rbind", "rw"}}
}

// formatted makes the manager mount everything before it.
func formatted(source string) *types.Mount {
	return &types.Mount{Type: "format/bind", Source: source, Options: []string{"rbind", "ro"}}
}

// folderWith is a folder that holds one file of the given name.
func folderWith(t testing.TB, name string) string {
	t.Helper()
	dir := t.TempDir()
	ok(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	return dir
}

func isMounted(path string) bool {
	return slices.Contains(mountsBelow(filepath.Dir(path)), path)
}

// targets are the activation folders of the daemon.
func (e *env) targets() []string {
	return names(e.t, filepath.Join(e.state, "io.containerd.mount-manager.v1.bolt", "t"))
}

func TestL162_Activate(t *testing.T) {
	e := newEnv(t).held()
	_, err := e.activate("plain", false, nil, bind(t.TempDir()))
	wantCode(t, err, codes.Unimplemented)
	_, err = e.activation("plain")
	wantCode(t, err, codes.NotFound)
	_, err = e.activate("name", false, map[string]string{"k": "v"}, bind(folderWith(t, "a")), formatted("{{ mount 0 }}"))
	ok(t, err)
	_, err = e.activate("name", false, nil, bind(folderWith(t, "a")), formatted("{{ mount 0 }}"))
	wantCode(t, err, codes.AlreadyExists)
	info, err := e.activation("name")
	ok(t, err)
	equal(t, "name", info.Name, "name")
	equal(t, "label", info.Labels["k"], "v")
	equal(t, "active mounts", len(info.Active), 1)
	equal(t, "mounted", exists(filepath.Join(info.Active[0].MountPoint, "a")), true)
	if got := e.listActivations(); !slices.Equal(got, []string{"name"}) {
		t.Errorf("listed %v", got)
	}
	// The same name in another namespace is another activation.
	other := e.sub().held()
	_, err = other.activate("name", false, nil, bind(folderWith(t, "b")), formatted("{{ mount 0 }}"))
	ok(t, err)
	ok(t, other.deactivate("name"))
	ok(t, e.deactivate("name"))
	_, err = e.mounts().Update(e.ctx, &mountsapi.UpdateRequest{Info: info})
	wantCode(t, err, codes.Unimplemented)
}

func TestL162_ListFilters(t *testing.T) {
	gantryOnly(t, "the filters of Mounts/List are ignored")
	e := newEnv(t).held()
	for name, value := range map[string]string{"a": "1", "b": "2"} {
		_, err := e.activate(name, false, map[string]string{"k": value}, bind(t.TempDir()), formatted("{{ mount 0 }}"))
		ok(t, err)
		defer func() { ok(t, e.deactivate(name)) }()
	}
	for filter, want := range map[string][]string{"name==a": {"a"}, "labels.k==2": {"b"}, "labels.k": {"a", "b"}} {
		if got := e.listActivations(filter); !slices.Equal(got, want) {
			t.Errorf("%s selects %v", filter, got)
		}
	}
}

func TestL163_Format(t *testing.T) {
	e := newEnv(t).held()
	first, second := folderWith(t, "a"), folderWith(t, "b")
	info, err := e.activate("name", false, nil, bind(first), bind(second), &types.Mount{
		Type: "format/overlay", Source: "{{ source 1 }}", Target: "{{ target 0 }}x", Options: []string{
			"lowerdir={{ overlay 0 1 }}", "other={{ overlay 1 0 }}", "one={{ mount 1 }}", "plain"}})
	ok(t, err)
	defer func() { ok(t, e.deactivate("name")) }()
	equal(t, "active mounts", len(info.Active), 2)
	one, two := info.Active[0].MountPoint, info.Active[1].MountPoint
	system := info.System[0]
	equal(t, "type", system.Type, "overlay")
	equal(t, "source", system.Source, second)
	equal(t, "target", system.Target, "x")
	equal(t, "options", strings.Join(system.Options, " "), "lowerdir="+one+":"+two+" other="+two+":"+one+" one="+two+" plain")
	// Ascending names of folders are the order of unmounting.
	if one <= two {
		t.Errorf("mount points %s, %s", one, two)
	}
	equal(t, "type file", exists(one+"-type"), true)
	equal(t, "first", exists(filepath.Join(one, "a")), true)
	equal(t, "second", exists(filepath.Join(two, "b")), true)
}

func TestL163_FormatOutOfBounds(t *testing.T) {
	e := newEnv(t).held()
	for _, bad := range []string{"{{ mount 1 }}", "{{ source 3 }}", "{{ overlay 0 5 }}", "{{ nonsense 0 }}", "{{ mount"} {
		if _, err := e.activate("name", false, nil, bind(t.TempDir()), formatted(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
			ok(t, e.deactivate("name"))
		}
	}
}

func TestL163_Mkdir(t *testing.T) {
	e := newEnv(t).held()
	made := filepath.Join(e.root, "mkdir-"+e.ns)
	info, err := e.activate("name", false, nil, &types.Mount{Type: "mkdir/bind", Source: made,
		Options: []string{"rbind", "X-containerd.mkdir.path=" + made + ":0751"}})
	ok(t, err)
	equal(t, "type", info.System[0].Type, "bind")
	equal(t, "options", strings.Join(info.System[0].Options, " "), "rbind")
	wantOwner(t, made, 0o751, 0, 0)
	ok(t, e.deactivate("name"))

	outside := filepath.Join(t.TempDir(), "outside")
	_, err = e.activate("name", false, nil, &types.Mount{Type: "mkdir/bind", Source: "/",
		Options: []string{"X-containerd.mkdir.path=" + outside}})
	wantCode(t, err, codes.Unimplemented)
	equal(t, "folder outside", exists(outside), false)
	for _, bad := range []string{"X-containerd.mkdir.nope=x", "X-containerd.mkdir.path=" + made + ":0755:0"} {
		_, err = e.activate("name", false, nil, &types.Mount{Type: "mkdir/bind", Source: "/", Options: []string{bad}})
		wantCode(t, err, codes.InvalidArgument)
	}
	_, err = e.activate("name", false, nil, &types.Mount{Type: "mkdir/bind", Source: "/",
		Options: []string{"X-containerd.mkdir.path=" + made + ":9z"}})
	if err == nil {
		t.Error("a mode that is no octal number was accepted")
	}
}

func TestL163_MkdirEscape(t *testing.T) {
	e := newEnv(t).held()
	outside := filepath.Join(e.dir, "escaped-"+e.ns)
	// Refused, or taken to mean a folder inside: both are safe.
	_, err := e.activate("name", false, nil, &types.Mount{Type: "mkdir/bind", Source: "/",
		Options: []string{"X-containerd.mkdir.path=" + e.root + "/../" + filepath.Base(outside)}})
	if err == nil {
		ok(t, e.deactivate("name"))
	}
	equal(t, "folder outside", exists(outside), false)
}

func TestL163_Mkfs(t *testing.T) {
	e := newEnv(t).held()
	image := filepath.Join(e.root, "mkfs-"+e.ns)
	info, err := e.activate("name", false, nil, &types.Mount{Type: "mkfs/ext4", Source: image,
		Options: []string{"loop", "X-containerd.mkfs.fs=ext4", "X-containerd.mkfs.size=16MB",
			"X-containerd.mkfs.uuid=11111111-2222-3333-4444-555555555555"}},
		formatted("{{ mount 0 }}"))
	ok(t, err)
	stat, err := os.Stat(image)
	ok(t, err)
	equal(t, "size", stat.Size(), 16<<20)
	point := info.Active[0].MountPoint
	equal(t, "mounted", isMounted(point), true)
	equal(t, "ext4", exists(filepath.Join(point, "lost+found")), true)
	ok(t, os.WriteFile(filepath.Join(point, "kept"), nil, 0o644))
	ok(t, e.deactivate("name"))
	equal(t, "mounted", isMounted(point), false)

	// An existing image is used as it is.
	info, err = e.activate("name", false, nil, &types.Mount{Type: "mkfs/ext4", Source: image,
		Options: []string{"loop", "X-containerd.mkfs.size=32MB"}}, formatted("{{ mount 0 }}"))
	ok(t, err)
	equal(t, "kept file", exists(filepath.Join(info.Active[0].MountPoint, "kept")), true)
	ok(t, e.deactivate("name"))

	for _, options := range [][]string{nil, {"X-containerd.mkfs.size=1MB", "X-containerd.mkfs.nope=1"},
		{"X-containerd.mkfs.size=1MB", "X-containerd.mkfs.fs=nope"}} {
		_, err = e.activate("name", false, nil, &types.Mount{Type: "mkfs/ext4", Source: image + "-bad", Options: options},
			formatted("{{ mount 0 }}"))
		wantCode(t, err, codes.InvalidArgument)
	}
	_, err = e.activate("name", false, nil, &types.Mount{Type: "mkfs/ext4", Source: filepath.Join(t.TempDir(), "image"),
		Options: []string{"X-containerd.mkfs.size=1MB"}}, formatted("{{ mount 0 }}"))
	wantCode(t, err, codes.Unimplemented)
}

func TestL164_Temporary(t *testing.T) {
	e := newEnv(t).held()
	info, err := e.activate("name", true, nil, bind(folderWith(t, "a")), bind(folderWith(t, "b")))
	ok(t, err)
	equal(t, "active mounts", len(info.Active), 2)
	last := info.Active[1].MountPoint
	equal(t, "system mounts", len(info.System), 1)
	equal(t, "system mount", info.System[0].Type+" "+info.System[0].Source, "bind "+last)
	equal(t, "options", strings.Join(info.System[0].Options, " "), "rbind")
	equal(t, "file", exists(filepath.Join(last, "b")), true)
	ok(t, e.deactivate("name"))
	for _, m := range info.Active {
		equal(t, "mounted", isMounted(m.MountPoint), false)
	}
	wantCode(t, e.deactivate("name"), codes.NotFound)
	_, err = e.activation("name")
	wantCode(t, err, codes.NotFound)
}

func TestL164_TemporaryTransformed(t *testing.T) {
	e := newEnv(t).held()
	info, err := e.activate("name", true, nil, bind(folderWith(t, "a")), formatted("{{ mount 0 }}"))
	ok(t, err)
	equal(t, "system mount", info.System[0].Type, "bind")
	equal(t, "file", exists(filepath.Join(info.System[0].Source, "a")), true)
	ok(t, e.deactivate("name"))
}

func TestL165_FailedActivation(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "act"})
	for _, leased := range []bool{false, true} {
		e := d.env(t)
		if leased {
			e = e.held()
		}
		e.image("i", someDigest, nil) // Keeps the activation below.
		missing := filepath.Join(t.TempDir(), "missing")
		for _, mounts := range [][]*types.Mount{
			{bind(folderWith(t, "a")), bind(missing), formatted("{{ mount 0 }}")},
			{bind(folderWith(t, "a")), formatted("{{ mount 5 }}")},
		} {
			_, err := e.activate("name", false, nil, mounts...)
			if err == nil {
				t.Fatal("activated")
			}
			equal(t, "mounts", len(mountsBelow(d.state)), 0)
			_, err = e.activation("name")
			wantCode(t, err, codes.NotFound)
		}
		info, err := e.activate("name", false, map[string]string{"containerd.io/gc.bref.image": "i"}, bind(folderWith(t, "a")),
			formatted("{{ mount 0 }}"))
		ok(t, err)
		equal(t, "active mounts", len(info.Active), 1)
		ok(t, e.deactivate("name"))
		equal(t, "mounts", len(mountsBelow(d.state)), 0)
	}
}

func TestL165_FailedActivationLeavesNoFolder(t *testing.T) {
	gantryOnly(t, "the folder of a failed activation stays until a collection")
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "act"}).env(t)
	_, err := e.activate("name", false, nil, bind(folderWith(t, "a")), formatted("{{ mount 5 }}"))
	if err == nil {
		t.Fatal("activated")
	}
	if left := e.targets(); len(left) != 0 {
		t.Errorf("folders left: %v", left)
	}
}

func TestL166_MountCollection(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "mgc"})
	e := d.env(t)
	e.container(containerOf("c"))
	e.image("i", someDigest, nil)
	lease := e.lease("", nil)
	points := map[string]string{}
	for name, labels := range map[string]map[string]string{
		"container": {"containerd.io/gc.bref.container": "c"},
		"image":     {"containerd.io/gc.bref.image.x": "i"},
		"dangling":  {"containerd.io/gc.bref.container": "absent"},
		"bare":      nil,
		"leased":    nil,
	} {
		maker := e.leased(lease)
		if name != "leased" {
			maker = e
		}
		info, err := maker.activate(name, false, labels, bind(folderWith(t, "a")), formatted("{{ mount 0 }}"))
		ok(t, err)
		points[name] = info.Active[0].MountPoint
	}
	check := func(want ...string) {
		t.Helper()
		e.gc()
		for name, point := range points {
			equal(t, name+" is mounted", isMounted(point), slices.Contains(want, name))
		}
		if got := e.listActivations(); !slices.Equal(got, want) {
			t.Errorf("activations %v, want %v", got, want)
		}
	}
	check("container", "image", "leased")
	e.deleteContainer("c")
	check("image", "leased")
	e.deleteLease(lease, false)
	check("image")
	e.deleteImage("i", false)
	check()
	if left := e.targets(); len(left) != 0 {
		t.Errorf("folders left: %v", left)
	}
}

// TestManagedRootfs gives tasks root file systems that the shim cannot mount alone.
func TestManagedRootfs(t *testing.T) {
	e := newEnv(t)
	managed := func(template string) []mount.Mount {
		return append(e.overlayRoot(), mount.Mount{Type: "format/bind", Source: template, Options: []string{"rbind", "rw"}})
	}
	b := e.run(boxOptions{args: sh("echo here; touch /written"), rootfs: managed("{{ mount 0 }}")})
	info, err := e.activation(b.id)
	ok(t, err)
	equal(t, "back reference", info.Labels["containerd.io/gc.bref.container"], b.id)
	point := info.Active[0].MountPoint
	equal(t, "mounted", isMounted(point), true)
	b.exit()
	b.drain()
	equal(t, "output", b.out.String(), "here\n")
	equal(t, "written through", exists(filepath.Join(point, "written")), true)
	b.delete()
	_, err = e.activation(b.id)
	wantCode(t, err, codes.NotFound)
	equal(t, "mounted", isMounted(point), false)

	bad := e.newContainer(boxOptions{args: []string{"true"}})
	if bad.tryCreate(boxOptions{io: cio.NullIO, rootfs: managed("{{ mount 5 }}")}) == nil {
		t.Error("created on a template that names no mount")
	}
	_, err = e.activation(bad.id)
	wantCode(t, err, codes.NotFound)
	equal(t, "bundle", exists(bad.bundle()), false)
}

// TestManagedApply unpacks a layer into mounts that the kernel cannot make alone.
func TestManagedApply(t *testing.T) {
	e := newEnv(t).held()
	dir := t.TempDir()
	mounts := append(bindOf(dir), &types.Mount{Type: "format/bind", Source: "{{ mount 0 }}", Options: []string{"rbind", "rw"}})
	plain := tarOf(t, file("a", "x"))
	applied, err := e.apply(mounts, plain, "gzip")
	ok(t, err)
	equal(t, "diff id", applied.Digest, digestOf(string(plain)))
	equal(t, "unpacked", exists(filepath.Join(dir, "a")), true)
	if left := e.listActivations(); len(left) != 0 {
		t.Errorf("activations left: %v", left)
	}
	equal(t, "mounts", len(mountsBelow(filepath.Join(e.root, "tmpmounts"))), 0)
}
