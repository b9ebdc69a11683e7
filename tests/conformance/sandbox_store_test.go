// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"slices"
	"testing"

	sandboxapi "github.com/containerd/containerd/api/services/sandbox/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// sandboxOf is a valid sandbox record.
func sandboxOf(id string) *types.Sandbox {
	return &types.Sandbox{SandboxID: id, Sandboxer: "podsandbox", Runtime: &types.Sandbox_Runtime{Name: runcName}}
}

func fullSandbox(id string) *types.Sandbox {
	s := sandboxOf(id)
	s.Runtime.Options = anyOf("a.Options", "\xff")
	s.Spec = anyOf("a.Spec", "spec")
	s.Labels = map[string]string{"x": "1", "y": "2"}
	s.Extensions = anyMap("e1", anyOf("a.E", "one"))
	s.Extensions["e2"] = anyOf("a.E", "two")
	return s
}

func (e *env) createSandbox(s *types.Sandbox) (*types.Sandbox, error) {
	answer, err := e.sandboxes().Create(e.ctx, &sandboxapi.StoreCreateRequest{Sandbox: s})
	return answer.GetSandbox(), err
}

func (e *env) getSandbox(id string) (*types.Sandbox, error) {
	answer, err := e.sandboxes().Get(e.ctx, &sandboxapi.StoreGetRequest{SandboxID: id})
	return answer.GetSandbox(), err
}

func (e *env) updateSandbox(s *types.Sandbox, fields ...string) (*types.Sandbox, error) {
	answer, err := e.sandboxes().Update(e.ctx, &sandboxapi.StoreUpdateRequest{Sandbox: s, Fields: fields})
	return answer.GetSandbox(), err
}

func (e *env) listSandboxes(filters ...string) []string {
	e.t.Helper()
	answer, err := e.sandboxes().List(e.ctx, &sandboxapi.StoreListRequest{Filters: filters})
	ok(e.t, err)
	var ids []string
	for _, s := range answer.List {
		ids = append(ids, s.SandboxID)
	}
	return ids
}

func sameSandbox(t testing.TB, got, want *types.Sandbox) {
	t.Helper()
	got, want = proto.Clone(got).(*types.Sandbox), proto.Clone(want).(*types.Sandbox)
	got.CreatedAt, got.UpdatedAt, want.CreatedAt, want.UpdatedAt = nil, nil, nil, nil
	if !proto.Equal(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

func TestS138_SandboxCreate(t *testing.T) {
	e := newEnv(t)
	for _, bad := range []string{"", "a/b", "-a"} {
		_, err := e.createSandbox(sandboxOf(bad))
		wantCode(t, err, codes.InvalidArgument)
	}
	stored, err := e.createSandbox(fullSandbox("s"))
	ok(t, err)
	sameSandbox(t, stored, fullSandbox("s"))
	_, err = e.createSandbox(sandboxOf("s"))
	wantCode(t, err, codes.AlreadyExists)
	got, err := e.getSandbox("s")
	ok(t, err)
	sameSandbox(t, got, fullSandbox("s"))
	equal(t, "created and updated", got.CreatedAt.AsTime(), got.UpdatedAt.AsTime())
	_, err = e.sandboxes().Delete(e.ctx, &sandboxapi.StoreDeleteRequest{SandboxID: "s"})
	ok(t, err)
	_, err = e.sandboxes().Delete(e.ctx, &sandboxapi.StoreDeleteRequest{SandboxID: "s"})
	wantCode(t, err, codes.NotFound)
	_, err = e.getSandbox("s")
	wantCode(t, err, codes.NotFound)
}

func TestS138_SandboxUpdatePaths(t *testing.T) {
	e := newEnv(t)
	changed := sandboxOf("s")
	changed.Labels = map[string]string{"x": "changed"}
	changed.Spec = anyOf("b.Spec", "changed")
	changed.Extensions = anyMap("e1", anyOf("b.E", "changed"))
	changed.Runtime = &types.Sandbox_Runtime{Name: runcName, Options: anyOf("b.Options", "changed")}
	for path, expect := range map[string]func(s *types.Sandbox){
		"labels":        func(s *types.Sandbox) { s.Labels = changed.Labels },
		"labels.x":      func(s *types.Sandbox) { s.Labels["x"] = "changed" },
		"spec":          func(s *types.Sandbox) { s.Spec = changed.Spec },
		"extensions.e1": func(s *types.Sandbox) { s.Extensions["e1"] = changed.Extensions["e1"] },
		"runtime":       func(s *types.Sandbox) { s.Runtime = changed.Runtime },
	} {
		t.Run(path, func(t *testing.T) {
			sub := e.with(t).sub()
			before, err := sub.createSandbox(fullSandbox("s"))
			ok(t, err)
			_, err = sub.updateSandbox(changed, path)
			ok(t, err)
			want := fullSandbox("s")
			expect(want)
			got, err := sub.getSandbox("s")
			ok(t, err)
			sameSandbox(t, got, want)
			if !got.UpdatedAt.AsTime().After(before.UpdatedAt.AsTime()) {
				t.Error("updated_at did not grow")
			}
		})
	}
}

func TestS138_SandboxUpdateErrors(t *testing.T) {
	e := newEnv(t)
	_, err := e.createSandbox(fullSandbox("s"))
	ok(t, err)
	_, err = e.updateSandbox(sandboxOf("absent"))
	wantCode(t, err, codes.NotFound)
	for _, path := range []string{"sandboxer", "sandbox_id", "created_at", "nope"} {
		_, err = e.updateSandbox(sandboxOf("s"), "labels", path)
		wantCode(t, err, codes.InvalidArgument)
	}
	other := fullSandbox("s")
	other.Runtime.Name = "io.containerd.other.v2"
	_, err = e.updateSandbox(other)
	wantCode(t, err, codes.InvalidArgument)
	got, err := e.getSandbox("s")
	ok(t, err)
	sameSandbox(t, got, fullSandbox("s"))
	other = fullSandbox("s")
	other.Labels, other.Spec = map[string]string{"z": "3"}, anyOf("c.Spec", "x")
	_, err = e.updateSandbox(other)
	ok(t, err)
	got, err = e.getSandbox("s")
	ok(t, err)
	sameSandbox(t, got, other)
}

func TestS138_SandboxFilters(t *testing.T) {
	e := newEnv(t)
	if got := e.listSandboxes(); len(got) != 0 {
		t.Errorf("listed %v", got)
	}
	for id, value := range map[string]string{"a": "1", "b": "2", "c": "2"} {
		s := sandboxOf(id)
		s.Labels = map[string]string{"k": value}
		_, err := e.createSandbox(s)
		ok(t, err)
	}
	for filter, want := range map[string][]string{
		"": {"a", "b", "c"}, "id==a": {"a"}, "labels.k==2": {"b", "c"}, "labels.k==3": nil, "sandboxer==podsandbox": nil,
	} {
		if got := e.listSandboxes(filter); !slices.Equal(got, want) {
			t.Errorf("%q selects %v", filter, got)
		}
	}
	if got := e.listSandboxes("id==a", "id==c"); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("two filters select %v", got)
	}
	_, err := e.sandboxes().List(e.ctx, &sandboxapi.StoreListRequest{Filters: []string{"a=b"}})
	wantCode(t, err, codes.InvalidArgument)
}

func TestS139_SandboxWithoutRuntime(t *testing.T) {
	gantryOnly(t, "a record without runtime takes the daemon down")
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "null"}).env(t)
	s := sandboxOf("s")
	s.Runtime = nil
	_, err := e.createSandbox(s)
	if err != nil {
		wantCode(t, err, codes.InvalidArgument)
		return
	}
	got, err := e.getSandbox("s")
	ok(t, err)
	equal(t, "runtime name", got.GetRuntime().GetName(), "")
	e.listSandboxes()
	_, err = e.updateSandbox(&types.Sandbox{SandboxID: "s", Labels: map[string]string{"k": "v"}}, "labels")
	ok(t, err)
}
