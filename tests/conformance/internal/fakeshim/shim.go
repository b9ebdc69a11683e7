// SPDX-License-Identifier: Apache-2.0

// Package fakeshim is a shim for tests of a daemon: its containers are sleeping processes, so that nothing but the
// conversation between daemon and shim matters. Its manners come from a folder that the environment names, see
// manners.go. Like some old shims it never opens the log fifo of its bundle.
package fakeshim

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	bootapi "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// options are the flags that a daemon passes.
type options struct {
	namespace, address, publisher, id, bundle string
	debug, version, info                      bool
}

// Main runs one action of the shim; args are those of the command line.
func Main(args []string) int {
	var o options
	flags := flag.NewFlagSet("fakeshim", flag.ContinueOnError)
	flags.StringVar(&o.namespace, "namespace", "", "namespace of the container")
	flags.StringVar(&o.address, "address", "", "socket of the daemon")
	flags.StringVar(&o.publisher, "publish-binary", "", "command that publishes events")
	flags.StringVar(&o.id, "id", "", "id of the container")
	flags.StringVar(&o.bundle, "bundle", "", "bundle of the container")
	flags.BoolVar(&o.debug, "debug", false, "more logging")
	flags.BoolVar(&o.version, "v", false, "print the version")
	flags.BoolVar(&o.info, "info", false, "print information")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	action := map[string]func(options) error{"start": start, "delete": remove, "": serve}[flags.Arg(0)]
	if o.version || o.info || action == nil {
		return 1
	}
	if err := action(o); err != nil {
		fmt.Fprintln(os.Stderr, "fakeshim:", err)
		return 1
	}
	return 0
}

// start launches the server, unless one serves this container already, and tells its address in the dialect of the
// manners.
func start(o options) error {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	manners, err := readManners()
	if err != nil {
		return err
	}
	var params bootapi.BootstrapParams
	modern := proto.Unmarshal(input, &params) == nil && params.InstanceID == o.id
	address, err := launch(o, params.GetSocketDir())
	if err != nil {
		return err
	}
	switch {
	case manners.Legacy && modern:
		// As shims of an older library do: the server runs already when the unknown input is refused.
		return fmt.Errorf("cannot decode the options")
	case manners.Legacy:
		if err := os.WriteFile("address", []byte(address), 0o644); err != nil {
			return err
		}
		_, err = os.Stdout.WriteString(address)
		return err
	}
	reply, err := proto.Marshal(&bootapi.BootstrapResult{Version: 3, Protocol: "ttrpc", Address: address})
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(reply)
	return err
}

// launch binds the socket and hands it to a server process of its own.
func launch(o options, dir string) (string, error) {
	if dir == "" {
		dir = "/run/containerd/s"
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(filepath.Join(o.address, o.namespace, o.id)))
	path := filepath.Join(dir, fmt.Sprintf("%x", sum))
	address := "unix://" + path
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return address, nil
	}
	_ = os.Remove(path)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return "", err
	}
	listener.SetUnlinkOnClose(false)
	file, err := listener.File()
	if err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	// The name says which role the binary plays; the arguments let a leak be traced to its daemon.
	server := &exec.Cmd{Path: self, ExtraFiles: []*os.File{file}, SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
		Args: []string{os.Args[0], "-namespace", o.namespace, "-address", o.address, "-id", o.id}}
	return address, server.Start()
}

// remove is what a daemon runs when the server is gone.
func remove(o options) error {
	killProcesses(filepath.Join(o.bundle, pidFile))
	answer, err := proto.Marshal(&taskapi.DeleteResponse{ExitStatus: 137, ExitedAt: timestamppb.New(time.Now())})
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(answer)
	return err
}
