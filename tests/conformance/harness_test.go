// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"conformance/internal/fakeshim"
	"conformance/internal/proxy"

	containerd "github.com/containerd/containerd/v2/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// settings of one run, from the environment.
type settings struct {
	daemon  string  // "gantryd" or "containerd"
	bin     string  // path of the daemon binary
	shimDir string  // goes first on the daemon's PATH
	scale   float64 // multiplies every time limit
	work    string  // mount point of the private ext4 file system
}

var (
	run    settings
	common *daemon // the daemon with the default configuration that most tests share
)

// fakeShimName as the name of this binary turns it into cmd/fakeshim.
const fakeShimName = "containerd-shim-fake-v1"

// roleProxysnap as the first argument turns this binary into cmd/proxysnap.
const roleProxysnap = "proxysnap"

func TestMain(m *testing.M) {
	if strings.HasPrefix(filepath.Base(os.Args[0]), fakeShimName) {
		os.Exit(fakeshim.Main(os.Args[1:]))
	}
	if len(os.Args) > 1 && os.Args[1] == roleProxysnap {
		os.Exit(proxy.Main(os.Args[2:]))
	}
	dir := os.Getenv(envInner)
	if dir == "" {
		os.Exit(supervise())
	}
	os.Exit(inner(m, dir))
}

// inner runs the tests in the prepared namespaces, then looks for what they leaked.
func inner(m *testing.M, dir string) int {
	if err := loadSettings(dir); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		return 1
	}
	var err error
	if common, err = launch(daemonOptions{name: "common"}); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		return 1
	}
	before := common.quiesce()
	code := m.Run()
	for _, problem := range append(leaks(before), untested(code)...) {
		fmt.Fprintln(os.Stderr, "conformance:", problem)
		code = 1
	}
	return code
}

func loadSettings(dir string) error {
	run = settings{
		daemon:  envOr("GANTRY_DAEMON", "gantryd"),
		bin:     os.Getenv("GANTRY_BIN"),
		shimDir: os.Getenv("GANTRY_SHIM_DIR"),
		scale:   1,
	}
	if run.daemon != "gantryd" && run.daemon != "containerd" {
		return fmt.Errorf("GANTRY_DAEMON is %q: want gantryd or containerd", run.daemon)
	}
	if _, err := os.Stat(run.bin); err != nil {
		return fmt.Errorf("GANTRY_BIN must name the daemon's binary: %w", err)
	}
	if text := os.Getenv("GANTRY_PRESET_TIMEOUT_SCALE"); text != "" {
		scale, err := strconv.ParseFloat(text, 64)
		if err != nil || scale < 1 {
			return fmt.Errorf("GANTRY_PRESET_TIMEOUT_SCALE is %q: want a number from 1", text)
		}
		run.scale = scale
	}
	var err error
	if run.work, err = enterPrivateHost(dir); err != nil {
		return err
	}
	tmp := filepath.Join(run.work, "tmp")
	if err := os.Mkdir(tmp, 0o777); err != nil {
		return err
	}
	return os.Setenv("TMPDIR", tmp)
}

func envOr(key, fallback string) string {
	if value := os.Getenv(key); value != "" {
		return value
	}
	return fallback
}

// scaled stretches a time limit for slow builds.
func scaled(d time.Duration) time.Duration { return time.Duration(float64(d) * run.scale) }

// gantryOnly ends the test on containerd: what follows is a place where gantry deliberately differs. With
// GANTRY_RUN_ALL=1 it goes on, to show how containerd fails there.
func gantryOnly(t testing.TB, reason string) {
	t.Helper()
	if run.daemon == "containerd" && os.Getenv("GANTRY_RUN_ALL") == "" {
		t.Skip("containerd: " + reason)
	}
}

// ownShimOnly ends the test where the stock shim runs: what follows is a place where ours deliberately differs.
func ownShimOnly(t testing.TB, reason string) {
	t.Helper()
	if run.shimDir != "" && os.Getenv("GANTRY_RUN_ALL") == "" {
		t.Skip("the stock shim: " + reason)
	}
}

// daemonOptions describe one daemon under test.
type daemonOptions struct {
	name    string   // folder name below the work folder
	config  string   // TOML appended to the base configuration
	raw     string   // whole configuration instead of base and config
	env     []string // added to the environment
	args    []string // added to the command line
	disable []string // further disabled plugins
	pathDir string   // folder that goes on PATH before the shim's
	userns  bool     // in a user namespace of its own, with the same ids but fewer of them
	pidns   bool     // in a PID namespace of its own, with few pids
}

// daemon is one running daemon with private root, state and socket.
type daemon struct {
	opts                     daemonOptions
	dir, root, state, socket string
	logPath                  string
	cmd                      *exec.Cmd
	exited                   chan struct{} // closed when cmd has been reaped
	conn                     *grpc.ClientConn
	client                   *containerd.Client
}

var daemonSeq atomic.Int64

// newDaemon lays out the folders and the configuration file; nothing runs yet.
func newDaemon(opts daemonOptions) (*daemon, error) {
	if opts.name == "" {
		opts.name = "d"
	}
	// Short names: socket paths end at 104 characters.
	d := &daemon{opts: opts, dir: filepath.Join(run.work, fmt.Sprintf("%s%d", opts.name, daemonSeq.Add(1)))}
	d.root, d.state = filepath.Join(d.dir, "r"), filepath.Join(d.dir, "s")
	d.socket, d.logPath = filepath.Join(d.state, "c.sock"), filepath.Join(d.dir, "log")
	for _, folder := range []string{d.dir, d.root, d.state, filepath.Join(d.dir, "tmp")} {
		if err := os.Mkdir(folder, 0o711); err != nil {
			return nil, err
		}
	}
	return d, d.writeConfig()
}

func (d *daemon) configPath() string { return filepath.Join(d.dir, "config.toml") }

func (d *daemon) writeConfig() error {
	text := d.opts.raw
	if text == "" {
		text = d.baseConfig() + d.opts.config
	}
	return os.WriteFile(d.configPath(), []byte(text), 0o644)
}

// baseConfig leaves out CRI and its helpers, which have suites of their own.
func (d *daemon) baseConfig() string {
	off := append([]string{
		"io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
		"io.containerd.podsandbox.controller.v1.podsandbox", "io.containerd.nri.v1.nri",
	}, d.opts.disable...)
	text := fmt.Sprintf("version = 3\nroot = %q\nstate = %q\ndisabled_plugins = [%s]\n"+
		"[plugins.'io.containerd.internal.v1.opt']\npath = %q\n",
		d.root, d.state, `"`+strings.Join(off, `", "`)+`"`, filepath.Join(d.dir, "opt"))
	if run.daemon == "gantryd" && run.shimDir != "" {
		// The shim there is meant, not gantryd's own.
		text += "[plugins.'io.containerd.shim.v1.manager']\nruntimes = {}\n"
	}
	return text
}

// launch makes and starts a daemon and waits until it serves.
func launch(opts daemonOptions) (*daemon, error) {
	d, err := newDaemon(opts)
	if err != nil {
		return nil, err
	}
	if err := d.start(); err != nil {
		return nil, err
	}
	return d, nil
}

// startDaemon launches a daemon for one test and stops it when the test ends.
func startDaemon(t testing.TB, opts daemonOptions) *daemon {
	t.Helper()
	d, err := launch(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.running() {
			d.stop(t)
		}
		d.reportOrphans(t)
		if t.Failed() {
			t.Logf("log of %s:\n%s", d.opts.name, d.logTail(4000))
		}
	})
	return d
}

// command is the daemon's command line, ready to start.
func (d *daemon) command(args ...string) *exec.Cmd {
	cmd := exec.Command(run.bin, args...)
	path := os.Getenv("PATH")
	for _, dir := range []string{run.shimDir, d.opts.pathDir} {
		if dir != "" {
			path = dir + ":" + path
		}
	}
	cmd.Env = append(os.Environ(), "PATH="+path, "TMPDIR="+filepath.Join(d.dir, "tmp"))
	cmd.Env = append(cmd.Env, d.opts.env...)
	// A group of its own: a terminal's interrupt is the supervisor's business.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// withFewPids runs a program where pids begin anew after 400. Only since Linux 6.14 that is the namespace's own affair.
const withFewPids = `mount -t proc proc /proc && echo 400 >/proc/sys/kernel/pid_max
exec "$0" "$@"`

func (d *daemon) spawn() error {
	log, err := os.OpenFile(d.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append([]string{
		"--config", d.configPath(), "--root", d.root, "--state", d.state, "--address", d.socket,
	}, d.opts.args...)
	d.cmd = d.command(args...)
	if d.opts.userns {
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
		d.cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS
		d.cmd.SysProcAttr.UidMappings, d.cmd.SysProcAttr.GidMappings = ids, ids
		d.cmd.SysProcAttr.GidMappingsEnableSetgroups = true
	}
	if d.opts.pidns {
		d.cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWPID | syscall.CLONE_NEWNS
		d.cmd.Path, d.cmd.Args = "/bin/sh", append([]string{"sh", "-c", withFewPids}, d.cmd.Args...)
	}
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		return err
	}
	d.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(d.cmd, d.exited)
	return nil
}

// start runs the daemon and waits until Health answers SERVING.
func (d *daemon) start() error {
	if err := d.spawn(); err != nil {
		return err
	}
	if d.conn == nil {
		conn, err := dial(d.socket)
		if err != nil {
			return err
		}
		d.conn = conn
		if d.client, err = containerd.NewWithConn(conn); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(scaled(20 * time.Second))
	for {
		select {
		case <-d.exited:
			return fmt.Errorf("%s ended: %s\n%s", d.opts.name, d.cmd.ProcessState, d.logTail(4000))
		default:
		}
		if _, err := os.Stat(d.socket); err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), scaled(time.Second))
			answer, err := grpc_health_v1.NewHealthClient(d.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{},
				grpc.WaitForReady(true))
			cancel()
			if err == nil && answer.Status == grpc_health_v1.HealthCheckResponse_SERVING {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not serve:\n%s", d.opts.name, d.logTail(4000))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (d *daemon) running() bool {
	if d.cmd == nil {
		return false
	}
	select {
	case <-d.exited:
		return false
	default:
		return true
	}
}

// stop asks the daemon to end and checks that it does so cleanly.
func (d *daemon) stop(t testing.TB) {
	t.Helper()
	if err := d.terminate(); err != nil {
		t.Error(err)
	}
}

func (d *daemon) terminate() error {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(scaled(15 * time.Second)):
		d.kill()
		return fmt.Errorf("%s outlived SIGTERM:\n%s", d.opts.name, d.logTail(4000))
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s ended with %s\n%s", d.opts.name, d.cmd.ProcessState, d.logTail(8000))
	}
	return nil
}

// kill is a crash: SIGKILL, reaped.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.exited
}

// restart starts the daemon again on the same folders, after stop or kill.
func (d *daemon) restart(t testing.TB) {
	t.Helper()
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
}

func (d *daemon) pid() int { return d.cmd.Process.Pid }

func (d *daemon) logTail(limit int) string {
	text, _ := os.ReadFile(d.logPath)
	if len(text) > limit {
		text = text[len(text)-limit:]
	}
	return string(text)
}

// shims lists the processes that serve this daemon's containers.
func (d *daemon) shims() map[int]string {
	if !d.running() {
		return processes(d.socket)
	}
	return processes(d.socket, d.pid())
}

// reportOrphans ends what a test's daemon left, and says so.
func (d *daemon) reportOrphans(t testing.TB) {
	t.Helper()
	for pid, line := range d.shims() {
		t.Errorf("left behind by %s: %d %s", d.opts.name, pid, line)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for _, mount := range mountsBelow(d.dir) {
		t.Errorf("left mounted by %s: %s", d.opts.name, mount)
		_ = syscall.Unmount(mount, syscall.MNT_DETACH)
	}
}

// dial connects with limits far above the daemon's, so that its own are what a test meets.
func dial(socket string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	dialer := func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	opts = append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(dialer),
		grpc.WithConnectParams(quickReconnect),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)),
		grpc.WithChainUnaryInterceptor(recordUnary),
		grpc.WithChainStreamInterceptor(recordStream),
	}, opts...)
	return grpc.NewClient("passthrough:///"+socket, opts...)
}

// openFDs counts the daemon's file descriptors.
func (d *daemon) openFDs() int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.pid()))
	return len(entries)
}

// quiesce collects garbage and returns the fd count once it no longer falls.
func (d *daemon) quiesce() int {
	ctx, cancel := context.WithTimeout(context.Background(), scaled(30*time.Second))
	defer cancel()
	if err := collect(ctx, d.conn); err != nil {
		fmt.Fprintln(os.Stderr, "conformance: final collection:", err)
	}
	lowest := d.openFDs()
	for calm := 0; calm < 10; calm++ {
		time.Sleep(20 * time.Millisecond)
		if n := d.openFDs(); n < lowest {
			lowest, calm = n, 0
		}
	}
	return lowest
}

// leaks compares the state after all tests with the one before, and stops the shared daemon.
func leaks(fdsBefore int) []string {
	var problems []string
	if !common.running() {
		return []string{"the shared daemon died:\n" + common.logTail(8000)}
	}
	// Descriptors that the daemon opens on first use and keeps.
	const slack = 4
	if after := common.quiesce(); after > fdsBefore+slack {
		problems = append(problems, fmt.Sprintf("the shared daemon has %d descriptors, %d before: %s",
			after, fdsBefore, strings.Join(common.fdTargets(), " ")))
	}
	for pid, line := range common.shims() {
		problems = append(problems, fmt.Sprintf("process left behind: %d %s", pid, line))
	}
	if err := common.terminate(); err != nil {
		problems = append(problems, err.Error())
	}
	if left := mountsBelow(run.work); len(left) > 0 {
		problems = append(problems, fmt.Sprintf("%d mounts left, among them %s", len(left), left[0]))
	}
	return append(problems, leftCgroups(cgroupRoot())...)
}

func (d *daemon) fdTargets() []string {
	var targets []string
	dir := fmt.Sprintf("/proc/%d/fd", d.pid())
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		target, _ := os.Readlink(filepath.Join(dir, entry.Name()))
		targets = append(targets, target)
	}
	return targets
}

// mountsBelow lists the mount points strictly below dir, deepest first.
func mountsBelow(dir string) []string {
	var found []string
	text, _ := os.ReadFile("/proc/self/mountinfo")
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			found = append([]string{fields[4]}, found...)
		}
	}
	return found
}

// calledRPCs holds the full method name of every RPC that any test made.
var calledRPCs sync.Map

func recordUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
	invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	calledRPCs.Store(method, true)
	return invoker(ctx, method, req, reply, cc, opts...)
}

func recordStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	calledRPCs.Store(method, true)
	return streamer(ctx, desc, cc, method, opts...)
}
