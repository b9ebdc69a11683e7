// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"maps"
	"slices"
	"testing"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	sandboxapi "github.com/containerd/containerd/api/services/sandbox/v1"
	"google.golang.org/grpc/codes"
)

func (e *env) createNamespace(name string, labels map[string]string) error {
	_, err := e.namespaces().Create(e.ctx, &namespacesapi.CreateNamespaceRequest{
		Namespace: &namespacesapi.Namespace{Name: name, Labels: labels}})
	return err
}

func (e *env) deleteNamespace(name string) error {
	_, err := e.namespaces().Delete(e.ctx, &namespacesapi.DeleteNamespaceRequest{Name: name})
	return err
}

func (e *env) listNamespaces() []string {
	e.t.Helper()
	answer, err := e.namespaces().List(e.ctx, &namespacesapi.ListNamespacesRequest{Filter: "ignored(("})
	ok(e.t, err)
	var all []string
	for _, ns := range answer.Namespaces {
		all = append(all, ns.Name)
	}
	return all
}

func (e *env) namespaceLabels(name string) map[string]string {
	e.t.Helper()
	answer, err := e.namespaces().Get(e.ctx, &namespacesapi.GetNamespaceRequest{Name: name})
	ok(e.t, err)
	equal(e.t, "name", answer.Namespace.Name, name)
	return answer.Namespace.Labels
}

func TestL039_NamespaceCreate(t *testing.T) {
	e := newEnv(t)
	for _, bad := range []string{"", "a..b", "-a", "a/b"} {
		wantCode(t, e.createNamespace(bad, nil), codes.InvalidArgument)
	}
	ok(t, e.createNamespace(e.ns+"-a", map[string]string{"k": "v"}))
	wantCode(t, e.createNamespace(e.ns+"-a", nil), codes.AlreadyExists)
	e.image("i", someDigest, nil)
	wantCode(t, e.createNamespace(e.ns, nil), codes.AlreadyExists)
}

func TestL040_ImplicitNamespace(t *testing.T) {
	e := newEnv(t)
	if slices.Contains(e.listNamespaces(), e.ns) {
		t.Fatal("the namespace exists before the first write")
	}
	e.image("i", someDigest, nil)
	all := e.listNamespaces()
	if !slices.Contains(all, e.ns) {
		t.Errorf("%s is not among %v", e.ns, all)
	}
	if !slices.IsSorted(all) {
		t.Errorf("not in byte order: %v", all)
	}
}

func TestL041_NamespaceGetUnknown(t *testing.T) {
	e := newEnv(t)
	if labels := e.namespaceLabels(e.ns + "-unknown"); len(labels) != 0 {
		t.Errorf("labels %v", labels)
	}
	if slices.Contains(e.listNamespaces(), e.ns+"-unknown") {
		t.Error("Get made the namespace")
	}
}

func TestL042_NamespaceUpdate(t *testing.T) {
	e := newEnv(t)
	ok(t, e.createNamespace(e.ns, map[string]string{"k": "1", "other": "2"}))
	update := func(labels map[string]string, paths ...string) error {
		_, err := e.namespaces().Update(e.ctx, &namespacesapi.UpdateNamespaceRequest{
			Namespace: &namespacesapi.Namespace{Name: e.ns, Labels: labels}, UpdateMask: mask(paths...)})
		return err
	}
	check := func(want map[string]string) {
		t.Helper()
		if got := e.namespaceLabels(e.ns); !maps.Equal(got, want) {
			t.Errorf("labels %v, want %v", got, want)
		}
	}
	wantCode(t, update(map[string]string{"k": "9"}, "labels"), codes.InvalidArgument)
	wantCode(t, update(map[string]string{"k": "9"}, "labels.k", "name"), codes.InvalidArgument)
	check(map[string]string{"k": "1", "other": "2"})
	ok(t, update(map[string]string{"k": "3", "new": "4"}, "labels.k"))
	check(map[string]string{"k": "3", "other": "2"})
	ok(t, update(map[string]string{"a.b/c": "5"}, "labels.a.b/c"))
	check(map[string]string{"k": "3", "other": "2", "a.b/c": "5"})
	ok(t, update(nil, "labels.k"))
	check(map[string]string{"other": "2", "a.b/c": "5"})
	ok(t, update(map[string]string{"only": "6"}))
	check(map[string]string{"only": "6"})
}

func TestL042_NamespaceUpdateAnswersAndChecks(t *testing.T) {
	gantryOnly(t, "Namespaces/Update answers nothing and checks no identifier")
	e := newEnv(t)
	answer, err := e.namespaces().Update(e.ctx, &namespacesapi.UpdateNamespaceRequest{
		Namespace: &namespacesapi.Namespace{Name: e.ns, Labels: map[string]string{"k": "v"}}})
	ok(t, err)
	equal(t, "name", answer.GetNamespace().GetName(), e.ns)
	equal(t, "label", answer.GetNamespace().GetLabels()["k"], "v")
	_, err = e.namespaces().Update(e.ctx, &namespacesapi.UpdateNamespaceRequest{
		Namespace: &namespacesapi.Namespace{Name: "a..b", Labels: map[string]string{"k": "v"}}})
	wantCode(t, err, codes.InvalidArgument)
}

func TestL043_NamespaceDeleteNonEmpty(t *testing.T) {
	e := newEnv(t)
	wantCode(t, e.deleteNamespace(e.ns+"-unknown"), codes.NotFound)
	for _, row := range []struct {
		left string
		fill func(e *env)
	}{
		{"images", func(e *env) { e.image("i", someDigest, nil) }},
		{"blobs", func(e *env) { e.held().blob("b"+e.ns, nil) }},
		{"containers", func(e *env) { e.container(containerOf("c")) }},
		{`snapshots on "overlayfs" snapshotter`, func(e *env) { e.held().prepare("s", "", nil) }},
	} {
		t.Run(row.left, func(t *testing.T) {
			sub := e.with(t).sub()
			row.fill(sub)
			wantCode(t, sub.deleteNamespace(sub.ns), codes.FailedPrecondition, "must be empty, but it still has", row.left)
		})
	}
}

func TestL044_NamespaceDeleteWithLeftovers(t *testing.T) {
	e := newEnv(t)
	ok(t, e.createNamespace(e.ns, map[string]string{"k": "v"}))
	e.lease("l", nil)
	w := e.openWriter("ref", 0, "")
	w.mustWrite("half", 0)
	w.close()
	ok(t, e.deleteNamespace(e.ns))
	if slices.Contains(e.listNamespaces(), e.ns) {
		t.Error("the namespace is still listed")
	}
	_, err := e.content().Status(e.ctx, &contentapi.StatusRequest{Ref: "ref"})
	wantCode(t, err, codes.NotFound)
	if labels := e.namespaceLabels(e.ns); len(labels) != 0 {
		t.Errorf("labels survived: %v", labels)
	}
}

func TestL044_SandboxBlocksNamespaceDelete(t *testing.T) {
	gantryOnly(t, "a sandbox record does not block the deletion of its namespace")
	e := newEnv(t)
	_, err := e.sandboxes().Create(e.ctx, &sandboxapi.StoreCreateRequest{Sandbox: sandboxOf("s")})
	ok(t, err)
	wantCode(t, e.deleteNamespace(e.ns), codes.FailedPrecondition, "sandboxes")
}

func TestNamespaceCalledVersion(t *testing.T) {
	gantryOnly(t, "a namespace called version collides with a key of the schema")
	e := newEnv(t)
	ok(t, e.createNamespace("version", map[string]string{"k": "v"}))
	equal(t, "label", e.namespaceLabels("version")["k"], "v")
	ok(t, e.deleteNamespace("version"))
}

// setNamespaceLabel changes one label of e's namespace.
func (e *env) setNamespaceLabel(key, value string) error {
	_, err := e.namespaces().Update(e.ctx, &namespacesapi.UpdateNamespaceRequest{
		Namespace:  &namespacesapi.Namespace{Name: e.ns, Labels: map[string]string{key: value}},
		UpdateMask: mask("labels." + key)})
	return err
}
