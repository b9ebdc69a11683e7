// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"conformance/internal/proxy"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestL004_MessageSizeDefault(t *testing.T) {
	e := newEnv(t)
	big := containerOf("big")
	big.Spec.Value = bytes.Repeat([]byte("x"), 15<<20)
	e.container(big)
	if got := e.getContainer("big"); !bytes.Equal(got.Spec.Value, big.Spec.Value) {
		t.Error("15 MiB came back changed")
	}
	big.ID, big.Spec.Value = "bigger", bytes.Repeat([]byte("x"), 16<<20)
	_, err := e.containers().Create(e.ctx, &containersapi.CreateContainerRequest{Container: big})
	wantCode(t, err, codes.ResourceExhausted)

	second := containerOf("second")
	second.Spec.Value = bytes.Repeat([]byte("x"), 2<<20)
	e.container(second)
	_, err = e.containers().List(e.ctx, &containersapi.ListContainersRequest{})
	wantCode(t, err, codes.ResourceExhausted)
	e.deleteContainer("big")
}

func TestL004_MessageSizeConfigured(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "size",
		config: "[grpc]\nmax_recv_message_size = 1048576\nmax_send_message_size = 2097152\n"})
	e := d.env(t)
	c := containerOf("c")
	c.Spec.Value = bytes.Repeat([]byte("x"), 1<<20)
	_, err := e.containers().Create(e.ctx, &containersapi.CreateContainerRequest{Container: c})
	wantCode(t, err, codes.ResourceExhausted)
	c.Spec.Value = bytes.Repeat([]byte("x"), 1000<<10)
	for i := range 3 {
		c.ID = fmt.Sprintf("c%d", i)
		e.container(c)
	}
	_, err = e.containers().List(e.ctx, &containersapi.ListContainersRequest{Filters: []string{"id~=c[01]"}})
	ok(t, err)
	_, err = e.containers().List(e.ctx, &containersapi.ListContainersRequest{})
	wantCode(t, err, codes.ResourceExhausted)
}

func TestL005_Socket(t *testing.T) {
	t.Parallel()
	d, err := newDaemon(daemonOptions{name: "sock"})
	ok(t, err)
	d.opts.config = fmt.Sprintf("[grpc]\naddress = %q\nuid = 1234\ngid = 2345\n"+
		"[ttrpc]\naddress = %q\nuid = 3456\ngid = 4567\n", d.socket, d.socket+".ttrpc")
	ok(t, d.writeConfig())
	// A stale socket: bound, then left by a process that ended.
	stale, err := net.Listen("unix", d.socket)
	ok(t, err)
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	ok(t, stale.Close())
	ok(t, d.start())
	defer d.stop(t)
	wantOwner(t, d.socket, 0o660, 1234, 2345)
	eventually(t, 5*time.Second, "the ttrpc socket is there", func() bool { return exists(d.socket + ".ttrpc") })
	wantOwner(t, d.socket+".ttrpc", 0o660, 3456, 4567)
}

func wantOwner(t testing.TB, path string, mode os.FileMode, uid, gid uint32) {
	t.Helper()
	info, err := os.Stat(path)
	ok(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm() != mode || owner.Uid != uid || owner.Gid != gid {
		t.Errorf("%s is %v %d:%d, want %v %d:%d", path, info.Mode().Perm(), owner.Uid, owner.Gid, mode, uid, gid)
	}
}

// classes pairs each error class with its wire code and the Go client's check.
var classes = []struct {
	text string
	code codes.Code
	is   func(error) bool
}{
	{"invalid argument", codes.InvalidArgument, errdefs.IsInvalidArgument},
	{"not found", codes.NotFound, errdefs.IsNotFound},
	{"permission denied", codes.PermissionDenied, errdefs.IsPermissionDenied},
	{"resource exhausted", codes.ResourceExhausted, errdefs.IsResourceExhausted},
	{"failed precondition", codes.FailedPrecondition, errdefs.IsFailedPrecondition},
	{"conflict", codes.FailedPrecondition, errdefs.IsConflict},
	{"not modified", codes.FailedPrecondition, errdefs.IsNotModified},
	{"aborted", codes.Aborted, errdefs.IsAborted},
	{"out of range", codes.OutOfRange, errdefs.IsOutOfRange},
	{"not implemented", codes.Unimplemented, errdefs.IsNotImplemented},
	{"internal", codes.Internal, errdefs.IsInternal},
	{"unavailable", codes.Unavailable, errdefs.IsUnavailable},
	{"data loss", codes.DataLoss, errdefs.IsDataLoss},
	{"unauthenticated", codes.Unauthenticated, errdefs.IsUnauthorized},
}

// TestL006_ErrorClasses lets a proxied snapshotter fail with every class there is and looks at what arrives.
func TestL006_ErrorClasses(t *testing.T) {
	t.Parallel()
	p := startProxysnap(t, "native", "snapshots")
	d := startDaemon(t, daemonOptions{name: "err", config: p.config()})
	e := d.env(t)
	for _, class := range classes {
		t.Run(class.text, func(t *testing.T) {
			defer p.order("prepare", proxy.Fault{Mode: proxy.ModeError, Class: class.text})()
			_, err := e.snapshots().Prepare(e.ctx, &snapshotsapi.PrepareSnapshotRequest{Snapshotter: "proxied", Key: "k"})
			wantCode(t, err, class.code)
			// The proxy wrote this text; the daemon must neither lose nor double it.
			if want := "ordered: " + proxy.Classes[class.text].Error(); !strings.HasSuffix(status.Convert(err).Message(), want) {
				t.Errorf("message %q does not end in %q", status.Convert(err).Message(), want)
			}
			if !class.is(errgrpc.ToNative(err)) {
				t.Errorf("the client does not recognise %v", err)
			}
		})
	}
}

func TestL006_ErrorClassesOfTheDaemon(t *testing.T) {
	e := newEnv(t)
	client := must(containerd.NewWithConn(e.conn))(t)
	_, err := client.GetImage(e.ctx, "absent")
	if !errdefs.IsNotFound(err) {
		t.Errorf("absent image: %v", err)
	}
	e.image("i", someDigest, nil)
	_, err = e.images().Create(e.ctx, &imagesapi.CreateImageRequest{Image: imageOf("i", someDigest, nil)})
	wantCode(t, err, codes.AlreadyExists, `"i"`, ": already exists")
	_, err = e.images().Get(e.ctx, &imagesapi.GetImageRequest{Name: "absent"})
	wantCode(t, err, codes.NotFound, `"absent"`, ": not found")
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err = client.ListImages(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled call: %v", err)
	}
}

func TestL007_ConflictIsToldBySuffix(t *testing.T) {
	t.Parallel()
	p := startProxysnap(t, "native", "snapshots")
	d := startDaemon(t, daemonOptions{name: "conflict", config: p.config()})
	e := d.env(t)
	sn := d.client.SnapshotService("proxied")
	for _, class := range []struct {
		text string
		is   func(error) bool
	}{{"conflict", errdefs.IsConflict}, {"failed precondition", errdefs.IsFailedPrecondition}} {
		end := p.order("prepare", proxy.Fault{Mode: proxy.ModeError, Class: class.text})
		_, err := sn.Prepare(e.ctx, "k", "")
		end()
		if !class.is(err) {
			t.Errorf("%s reached the client as %v", class.text, err)
		}
		if class.text == "failed precondition" && errdefs.IsConflict(err) {
			t.Errorf("%v counts as a conflict", err)
		}
	}
}
