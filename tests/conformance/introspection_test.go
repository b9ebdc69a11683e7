// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	introspectionapi "github.com/containerd/containerd/api/services/introspection/v1"
	versionapi "github.com/containerd/containerd/api/services/version/v1"
	"github.com/containerd/containerd/api/types"
	containerd "github.com/containerd/containerd/v2/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

func TestL027_Version(t *testing.T) {
	e := newEnv(t)
	answer, err := versionapi.NewVersionClient(e.conn).Version(t.Context(), &emptypb.Empty{})
	ok(t, err)
	core, _, _ := strings.Cut(strings.TrimPrefix(answer.Version, "v"), "+")
	core, _, _ = strings.Cut(core, "-")
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		t.Fatalf("version %q has no three numbers", answer.Version)
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || (i == 0 && n < 2) {
			t.Errorf("version %q: bad component %q", answer.Version, part)
		}
	}
	version, err := e.client.Version(e.ctx)
	ok(t, err)
	equal(t, "version through the client", version.Version, answer.Version)
}

func TestL028_Health(t *testing.T) {
	e := newEnv(t)
	health := grpc_health_v1.NewHealthClient(e.conn)
	answer, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	ok(t, err)
	equal(t, "status", answer.Status, grpc_health_v1.HealthCheckResponse_SERVING)
	_, err = health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "nope"})
	wantCode(t, err, codes.NotFound)
	for service, want := range map[string]grpc_health_v1.HealthCheckResponse_ServingStatus{
		"":     grpc_health_v1.HealthCheckResponse_SERVING,
		"nope": grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN,
	} {
		stream, err := health.Watch(e.ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		ok(t, err)
		state, err := stream.Recv()
		ok(t, err)
		equal(t, "watched status of "+service, state.Status, want)
	}
	for range 200 { // watchers that leave before they are told anything
		ctx, leave := context.WithCancel(e.ctx)
		_, err := health.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
		leave()
		ok(t, err)
	}
	client, err := containerd.New(e.socket)
	ok(t, err)
	defer client.Close()
	serving, err := client.IsServing(e.ctx)
	ok(t, err)
	equal(t, "IsServing", serving, true)
}

// plugins lists what matches.
func (e *env) plugins(filters ...string) []*introspectionapi.Plugin {
	e.t.Helper()
	answer, err := e.introspection().Plugins(e.ctx, &introspectionapi.PluginsRequest{Filters: filters})
	ok(e.t, err)
	return answer.Plugins
}

func (e *env) plugin(kind, id string) *introspectionapi.Plugin {
	e.t.Helper()
	found := e.plugins(fmt.Sprintf("type==%s, id==%s", kind, id))
	if len(found) != 1 {
		e.t.Fatalf("%d plugins %s.%s", len(found), kind, id)
	}
	return found[0]
}

func TestL029_PluginsWithErrors(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "bad",
		config: "[plugins.'io.containerd.snapshotter.v1.native']\nroot_path = '/dev/null/x'\n"})
	e := d.env(t)
	all := e.plugins()
	if len(all) < 20 {
		t.Errorf("only %d plugins", len(all))
	}
	failed := e.plugin("io.containerd.snapshotter.v1", "native")
	if failed.InitErr == nil || strings.Contains(failed.InitErr.Message, "skip plugin") {
		t.Errorf("the failed plugin has init_err %v", failed.InitErr)
	}
	skipped := 0
	for _, p := range all {
		if p.InitErr != nil && strings.Contains(p.InitErr.Message, "skip plugin") {
			skipped++
		}
	}
	if skipped == 0 {
		t.Error("no skipped plugin is listed")
	}
}

func TestL030_SkippedPlugin(t *testing.T) {
	e := newEnv(t)
	// Without an address the debug server is skipped.
	debug := e.plugin("io.containerd.server.v1", "debug")
	if debug.InitErr == nil || !strings.Contains(debug.InitErr.Message, "skip plugin") {
		t.Errorf("the debug server has init_err %v", debug.InitErr)
	}
}

func TestL031_SnapshotterAndRuntimeEntries(t *testing.T) {
	e := newEnv(t)
	overlay := e.plugin("io.containerd.snapshotter.v1", overlayfs)
	if overlay.InitErr != nil {
		t.Errorf("overlayfs failed: %v", overlay.InitErr)
	}
	if !slices.ContainsFunc(overlay.Platforms, isHostPlatform) {
		t.Errorf("platforms of overlayfs: %v", overlay.Platforms)
	}
	equal(t, "exports.root", overlay.Exports["root"], e.pluginDir("io.containerd.snapshotter.v1.overlayfs"))
	task := e.plugin("io.containerd.runtime.v2", "task")
	if !slices.ContainsFunc(task.Platforms, isHostPlatform) {
		t.Errorf("platforms of the task runtime: %v", task.Platforms)
	}
	// The ids that clients look up.
	for _, want := range []struct{ kind, id string }{
		{"io.containerd.content.v1", "content"}, {"io.containerd.metadata.v1", "bolt"},
		{"io.containerd.gc.v1", "scheduler"}, {"io.containerd.differ.v1", "walking"},
		{"io.containerd.grpc.v1", "tasks"}, {"io.containerd.snapshotter.v1", "native"},
		{"io.containerd.event.v1", "exchange"}, {"io.containerd.lease.v1", "manager"},
		{"io.containerd.sandbox.store.v1", "local"}, {"io.containerd.streaming.v1", "manager"},
	} {
		e.plugin(want.kind, want.id)
	}
	if exports := e.plugin("io.containerd.metadata.v1", "bolt").Exports; exports["policy"] != "shared" {
		t.Errorf("exports of metadata: %v", exports)
	}
}

func isHostPlatform(p *types.Platform) bool {
	return p.OS == "linux" && p.Architecture == runtime.GOARCH
}

func TestL032_OverlayCapabilities(t *testing.T) {
	e := newEnv(t)
	capabilities := e.plugin("io.containerd.snapshotter.v1", overlayfs).Capabilities
	if !slices.Contains(capabilities, "rebase") {
		t.Errorf("no rebase in %v", capabilities)
	}
	if kernelAtLeast(t, 5, 19) && !slices.Contains(capabilities, "remap-ids") {
		t.Errorf("no remap-ids in %v", capabilities)
	}
}

func kernelAtLeast(t testing.TB, major, minor int) bool {
	t.Helper()
	var uts syscall.Utsname
	ok(t, syscall.Uname(&uts))
	var release []byte
	for _, c := range uts.Release {
		if c == 0 {
			break
		}
		release = append(release, byte(c))
	}
	var gotMajor, gotMinor int
	_, err := fmt.Sscanf(string(release), "%d.%d", &gotMajor, &gotMinor)
	ok(t, err)
	return gotMajor > major || gotMajor == major && gotMinor >= minor
}

func TestL033_OptPath(t *testing.T) {
	e := newEnv(t)
	equal(t, "opt's path", e.plugin("io.containerd.internal.v1", "opt").Exports["path"], filepath.Join(e.dir, "opt"))
}

// server asks Introspection/Server.
func (e *env) server() (*introspectionapi.ServerResponse, error) {
	return e.introspection().Server(e.ctx, &emptypb.Empty{})
}

func TestL034_ServerIdentity(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "uuid"})
	e := d.env(t)
	first := get2(t)(e.server())
	equal(t, "length of the uuid", len(first.UUID), 36)
	equal(t, "pid", first.Pid, uint64(d.pid()))
	var ns syscall.Stat_t
	ok(t, syscall.Stat(fmt.Sprintf("/proc/%d/ns/pid", d.pid()), &ns))
	equal(t, "pidns", first.Pidns, ns.Ino)
	d.stop(t)
	d.restart(t)
	second := get2(t)(e.server())
	equal(t, "uuid after a restart", second.UUID, first.UUID)
}

// get2 makes a checker for calls that answer (value, error).
func get2(t testing.TB) func(*introspectionapi.ServerResponse, error) *introspectionapi.ServerResponse {
	return func(answer *introspectionapi.ServerResponse, err error) *introspectionapi.ServerResponse {
		t.Helper()
		ok(t, err)
		return answer
	}
}

func TestL035_BrokenUUID(t *testing.T) {
	t.Parallel()
	d, err := newDaemon(daemonOptions{name: "uuid"})
	ok(t, err)
	file := filepath.Join(d.root, "io.containerd.grpc.v1.introspection", "uuid")
	ok(t, os.MkdirAll(filepath.Dir(file), 0o700))
	ok(t, os.WriteFile(file, []byte("not a uuid"), 0o600))
	ok(t, d.start())
	defer d.stop(t)
	_, err = d.env(t).server()
	if err == nil {
		t.Error("a broken uuid is served")
	}
	text, err := os.ReadFile(file)
	ok(t, err)
	equal(t, "the file", string(text), "not a uuid")
}

func TestL036_PluginInfoErrors(t *testing.T) {
	e := newEnv(t)
	_, err := e.introspection().PluginInfo(e.ctx, &introspectionapi.PluginInfoRequest{Type: "io.containerd.nope.v1", ID: "x"})
	wantCode(t, err, codes.NotFound, "io.containerd.nope.v1.x")
	plain, err := e.introspection().PluginInfo(e.ctx, &introspectionapi.PluginInfoRequest{
		Type: "io.containerd.content.v1", ID: "content"})
	ok(t, err)
	equal(t, "id", plain.Plugin.ID, "content")
	_, err = e.introspection().PluginInfo(e.ctx, &introspectionapi.PluginInfoRequest{
		Type: "io.containerd.content.v1", ID: "content", Options: anyOf("containerd.types.RuntimeRequest", "")})
	wantCode(t, err, codes.Unimplemented)
}

func TestL036_PluginInfoOfFailedPlugin(t *testing.T) {
	e := newEnv(t)
	_, err := e.introspection().PluginInfo(e.ctx, &introspectionapi.PluginInfoRequest{
		Type: "io.containerd.server.v1", ID: "debug", Options: anyOf("containerd.types.RuntimeRequest", "")})
	wantCode(t, err, codes.FailedPrecondition)
}

func TestL037_RuntimeInfo(t *testing.T) {
	e := newEnv(t)
	request, err := anypb.New(&types.RuntimeRequest{RuntimePath: runcName})
	ok(t, err)
	request.TypeUrl = "containerd.types.RuntimeRequest"
	answer, err := e.introspection().PluginInfo(e.ctx, &introspectionapi.PluginInfoRequest{
		Type: "io.containerd.runtime.v2", ID: "task", Options: request})
	ok(t, err)
	equal(t, "type of extra", answer.Extra.GetTypeUrl(), "containerd.types.RuntimeInfo")
	var info types.RuntimeInfo
	ok(t, answer.Extra.UnmarshalTo(&info))
	equal(t, "name", info.Name, runcName)
	if info.Features == nil || !strings.Contains(string(info.Features.Value), "linux") {
		t.Errorf("features: %v", info.Features)
	}
}

func TestL038_Deprecations(t *testing.T) {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		t.Skip("the host has cgroup v2 only: no deprecated setting that both daemons know is in use")
	}
	e := newEnv(t)
	answer := get2(t)(e.server())
	for _, d := range answer.Deprecations {
		if d.ID == "io.containerd.deprecation/cgroup-v1" {
			if d.Message == "" || time.Since(d.LastOccurrence.AsTime()) > time.Hour {
				t.Errorf("bad warning %v", d)
			}
			return
		}
	}
	t.Errorf("cgroup v1 is not among %v", answer.Deprecations)
}
