// SPDX-License-Identifier: Apache-2.0

package fakeshim

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// pidFile holds, in a bundle, the pid of the sleeping process.
const pidFile = "fake.pid"

// checkpointFile is all that a checkpoint consists of: it holds the container's id.
const checkpointFile = "fake.checkpoint"

// container is one sleeping process.
type container struct {
	bundle  string
	cmd     *exec.Cmd
	running bool
	done    chan struct{} // closed when the process has ended
	status  uint32
	at      time.Time
}

// server is the state of the shim process.
type server struct {
	manners    Manners
	mu         sync.Mutex
	containers map[string]*container
}

// serve answers on the socket that start passed, until Shutdown.
func serve(options) error {
	manners, err := readManners()
	if err != nil {
		return err
	}
	listener, err := net.FileListener(os.NewFile(3, "socket"))
	if err != nil {
		return err
	}
	transport, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	s := &server{manners: manners, containers: map[string]*container{}}
	services := manners.Services
	if len(services) == 0 {
		services = []string{"containerd.task.v2.Task", "containerd.task.v3.Task"}
	}
	for _, service := range services {
		transport.RegisterService(service, &ttrpc.ServiceDesc{Methods: s.methods()})
	}
	return transport.Serve(context.Background(), listener)
}

// method adapts one typed method. Both versions of the task service have the same messages.
func method[Req any, Res any](name string, id func(*Req) string,
	call func(context.Context, *Req) (Res, error)) ttrpc.Method {
	return func(ctx context.Context, decode func(any) error) (any, error) {
		req := new(Req)
		if err := decode(req); err != nil {
			return nil, err
		}
		if err := hang(ctx, name, id(req)); err != nil {
			return nil, err
		}
		res, err := call(ctx, req)
		return res, errgrpc.ToGRPC(err)
	}
}

func (s *server) methods() map[string]ttrpc.Method {
	return map[string]ttrpc.Method{
		"Create":     method("Create", (*taskapi.CreateTaskRequest).GetID, s.create),
		"Start":      method("Start", (*taskapi.StartRequest).GetID, s.start),
		"State":      method("State", (*taskapi.StateRequest).GetID, s.state),
		"Kill":       method("Kill", (*taskapi.KillRequest).GetID, s.kill),
		"Wait":       method("Wait", (*taskapi.WaitRequest).GetID, s.wait),
		"Delete":     method("Delete", (*taskapi.DeleteRequest).GetID, s.delete),
		"Exec":       method("Exec", (*taskapi.ExecProcessRequest).GetID, s.exec),
		"Checkpoint": method("Checkpoint", (*taskapi.CheckpointTaskRequest).GetID, s.checkpoint),
		"Pids":       method("Pids", (*taskapi.PidsRequest).GetID, s.pids),
		"Connect":    method("Connect", (*taskapi.ConnectRequest).GetID, s.connect),
		"Shutdown":   method("Shutdown", (*taskapi.ShutdownRequest).GetID, s.shutdown),
	}
}

func (s *server) find(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.containers[id]; c != nil {
		return c, nil
	}
	return nil, errdefs.ErrNotFound
}

func (s *server) create(_ context.Context, req *taskapi.CreateTaskRequest) (*taskapi.CreateTaskResponse, error) {
	if err := restore(req.Checkpoint, req.ID); err != nil {
		return nil, err
	}
	c := &container{bundle: req.Bundle, cmd: exec.Command("sleep", "1000"), done: make(chan struct{})}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	pid := c.cmd.Process.Pid
	if err := os.WriteFile(filepath.Join(c.bundle, pidFile), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		return nil, err
	}
	go func() {
		_ = c.cmd.Wait()
		c.status, c.at = 128+uint32(c.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal()), time.Now()
		close(c.done)
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.containers[req.ID] = c
	return &taskapi.CreateTaskResponse{Pid: uint32(pid)}, nil
}

func (s *server) start(_ context.Context, req *taskapi.StartRequest) (*taskapi.StartResponse, error) {
	c, err := s.find(req.ID)
	if err != nil {
		return nil, err
	}
	c.running = true
	return &taskapi.StartResponse{Pid: uint32(c.cmd.Process.Pid)}, nil
}

func (s *server) state(_ context.Context, req *taskapi.StateRequest) (*taskapi.StateResponse, error) {
	c, err := s.find(req.ID)
	if err != nil {
		return nil, err
	}
	state := &taskapi.StateResponse{ID: req.ID, Bundle: c.bundle, Pid: uint32(c.cmd.Process.Pid), Status: task.Status_CREATED}
	select {
	case <-c.done:
		state.Status, state.ExitStatus, state.ExitedAt = task.Status_STOPPED, c.status, timestamppb.New(c.at)
	default:
		if c.running {
			state.Status = task.Status_RUNNING
		}
	}
	return state, nil
}

func (s *server) kill(_ context.Context, req *taskapi.KillRequest) (*emptypb.Empty, error) {
	c, err := s.find(req.ID)
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, c.cmd.Process.Signal(syscall.Signal(req.Signal))
}

func (s *server) wait(ctx context.Context, req *taskapi.WaitRequest) (*taskapi.WaitResponse, error) {
	c, err := s.find(req.ID)
	if err != nil {
		return nil, err
	}
	select {
	case <-c.done:
		return &taskapi.WaitResponse{ExitStatus: c.status, ExitedAt: timestamppb.New(c.at)}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *server) delete(_ context.Context, req *taskapi.DeleteRequest) (*taskapi.DeleteResponse, error) {
	c, err := s.find(req.ID)
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Process.Kill(); err == nil {
		<-c.done
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.containers, req.ID)
	return &taskapi.DeleteResponse{Pid: uint32(c.cmd.Process.Pid), ExitStatus: c.status, ExitedAt: timestamppb.New(c.at)}, nil
}

// exec accepts any process, and forgets it.
func (s *server) exec(_ context.Context, req *taskapi.ExecProcessRequest) (*emptypb.Empty, error) {
	_, err := s.find(req.ID)
	return &emptypb.Empty{}, err
}

func (s *server) checkpoint(_ context.Context, req *taskapi.CheckpointTaskRequest) (*emptypb.Empty, error) {
	if _, err := s.find(req.ID); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, os.WriteFile(filepath.Join(req.Path, checkpointFile), []byte(req.ID), 0o600)
}

// restore copies the checkpoint that Create is given, if any, to "restored.<container>" in the folder of the manners.
func restore(dir, id string) error {
	if dir == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(dir, checkpointFile))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(os.Getenv(EnvFolder), "restored."+id), text, 0o600)
}

func (s *server) pids(_ context.Context, req *taskapi.PidsRequest) (*taskapi.PidsResponse, error) {
	c, err := s.find(req.ID)
	if err != nil {
		return nil, err
	}
	return &taskapi.PidsResponse{Processes: []*task.ProcessInfo{{Pid: uint32(c.cmd.Process.Pid)}}}, nil
}

func (s *server) connect(_ context.Context, req *taskapi.ConnectRequest) (*taskapi.ConnectResponse, error) {
	answer := &taskapi.ConnectResponse{ShimPid: uint32(os.Getpid())}
	if c, err := s.find(req.ID); err == nil {
		answer.TaskPid = uint32(c.cmd.Process.Pid)
	}
	return answer, nil
}

// shutdown ends the process once no container is left: at once, or after the answer has had time to leave.
func (s *server) shutdown(context.Context, *taskapi.ShutdownRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.containers) > 0 {
		return &emptypb.Empty{}, nil
	}
	if s.manners.ShutdownByClose {
		os.Exit(0)
	}
	time.AfterFunc(20*time.Millisecond, func() { os.Exit(0) })
	return &emptypb.Empty{}, nil
}

// killProcesses ends the process that a pid file names.
func killProcesses(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && pid > 1 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
