// SPDX-License-Identifier: Apache-2.0

// Package proxy is a small external plugin process: the official overlay or native snapshotter, the official local
// content store, and a differ that declines everything, all served over gRPC on one unix socket. Faults are ordered
// through files in a folder, see faults.go; every call is noted in the file "calls" of that folder.
package proxy

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/contrib/diffservice"
	"github.com/containerd/containerd/v2/contrib/snapshotservice"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/containerd/v2/plugins/services/content/contentserver"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"google.golang.org/grpc"
)

// Main runs the process until it is killed; args are those of the command line.
func Main(args []string) int {
	flags := flag.NewFlagSet("proxysnap", flag.ContinueOnError)
	socket := flags.String("socket", "", "unix socket to serve on")
	root := flags.String("root", "", "folder of the backends")
	faults := flags.String("faults", "", "folder of the fault files and of the call log")
	driver := flags.String("driver", "overlay", "overlay or native")
	serve := flags.String("serve", "snapshots", "comma list of snapshots, diff, content")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if err := listenAndServe(*socket, *root, *faults, *driver, strings.Split(*serve, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "proxysnap:", err)
		return 1
	}
	return 0
}

func listenAndServe(socket, root, faults, driver string, services []string) error {
	board := &board{dir: faults}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(16<<20), grpc.MaxSendMsgSize(16<<20),
		grpc.UnaryInterceptor(board.unary))
	for _, service := range services {
		switch service {
		case "snapshots":
			backend, err := openDriver(driver, filepath.Join(root, "snapshots"))
			if err != nil {
				return err
			}
			snapshotsapi.RegisterSnapshotsServer(server,
				snapshotservice.FromSnapshotter(&faulty{Snapshotter: backend, board: board}))
		case "diff":
			diffapi.RegisterDiffServer(server, diffservice.FromApplierAndComparer(nil, nil))
		case "content":
			store, err := local.NewStore(filepath.Join(root, "content"))
			if err != nil {
				return err
			}
			contentapi.RegisterContentServer(server, contentserver.New(store))
		default:
			return fmt.Errorf("unknown service %q", service)
		}
	}
	_ = os.Remove(socket)
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", socket)
	if err != nil {
		return err
	}
	return server.Serve(listener)
}

func openDriver(driver, root string) (snapshots.Snapshotter, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	switch driver {
	case "overlay":
		return overlay.NewSnapshotter(root)
	case "native":
		return native.NewSnapshotter(root)
	}
	return nil, fmt.Errorf("unknown driver %q", driver)
}
