// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// envInner marks the process that runs the tests; its value is the work folder that the supervisor made.
const envInner = "GANTRY_CONFORMANCE_DIR"

// supervise runs the test binary once more in mount and network namespaces of its own and returns its exit code.
// Mounts vanish with the namespace; processes that name the work folder are looked for afterwards, so that a crash of
// the suite leaves nothing on the host, and so that a leak makes the run fail.
func supervise() int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "conformance: needs root (mounts, loop devices, containers)")
		return 1
	}
	dir, err := os.MkdirTemp(diskFolder(), "gtc")
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := makeFileSystem(filepath.Join(dir, "disk.img")); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		return 1
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), envInner+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// The inner process ends with this thread, so the thread must stay.
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		Pdeathsig: syscall.SIGKILL}
	signal.Ignore(syscall.SIGPIPE) // Whoever reads our output may go; cleaning up must not end with it.
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		return 1
	}
	host := &privateHost{dir: dir}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	host.learn(cmd.Process.Pid)
	err = cmd.Wait()
	code := cmd.ProcessState.ExitCode()
	if err != nil && code <= 0 {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		code = 1
	}
	if left := host.killLeftovers(); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "conformance: processes left behind:\n  "+strings.Join(left, "\n  "))
		code = 1
	}
	leftCgroups(cgroupRootOf(dir))
	return code
}

// diskFolder is where the disk image goes: into memory if there is room, since nothing here needs to survive the host
// and a flush to a slow disk is most of what the suite would wait for.
func diskFolder() string {
	if folder := os.Getenv("GANTRY_CONFORMANCE_DISK"); folder != "" {
		return folder
	}
	const shm, room = "/dev/shm", 4 << 30
	var fs unix.Statfs_t
	if unix.Statfs(shm, &fs) == nil && fs.Type == unix.TMPFS_MAGIC && fs.Bavail*uint64(fs.Bsize) >= room {
		return shm
	}
	return os.TempDir()
}

// makeFileSystem makes a sparse ext4 image.
func makeFileSystem(image string) error {
	f, err := os.Create(image)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(4 << 30); err != nil {
		return err
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", image).CombinedOutput(); err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	return nil
}

// processes returns pid and command line of all processes whose command line holds text, except those in skip.
func processes(text string, skip ...int) map[int]string {
	found := map[int]string{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil || !strings.Contains(string(line), text) {
			continue
		}
		found[pid] = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
	}
	for _, pid := range skip {
		delete(found, pid)
	}
	return found
}

// privateHost is what tells the processes of a run from all others.
type privateHost struct {
	dir   string // on their command line,
	mount string // or their mount namespace, as /proc names it,
	// or a cgroup below cgroupRootOf(dir).
}

// learn waits for the inner process to have a mount namespace of its own.
func (h *privateHost) learn(pid int) {
	ours, _ := os.Readlink("/proc/self/ns/mnt")
	for range 1000 {
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid))
		if err != nil {
			return
		}
		if theirs != ours {
			h.mount = theirs
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (h *privateHost) owns(pid int, line string) bool {
	if strings.Contains(line, h.dir) {
		return true
	}
	if theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid)); err == nil && h.mount != "" && theirs == h.mount {
		return true
	}
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return err == nil && strings.Contains(string(groups), ":"+cgroupRootOf(h.dir)+"/")
}

// processState is the letter that the kernel has for what a process is doing; empty if it is gone.
func processState(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))[0]
}

// killLeftovers ends, by pid, every process of the run and says which they were. One that has no command line any more is ending; it
// counts when it has not ended after a second. One that has ended is its parent's to reap: that is found itself, or is process 1.
func (h *privateHost) killLeftovers() []string {
	const rounds = 20
	var left []string
	for round := 0; round < rounds; round++ {
		found := 0
		for pid, line := range processes("") {
			state := processState(pid)
			if state == "" || state == "Z" || state == "X" || !h.owns(pid, line) {
				continue
			}
			found++
			if (round == 0 && line != "") || (round == rounds-1 && line == "") {
				left = append(left, fmt.Sprintf("%d (%s) %s", pid, state, line))
			}
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if found == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return left
}

// cgroupRootOf is the cgroup below which all containers of a run live.
func cgroupRootOf(dir string) string { return "/conformance-" + filepath.Base(dir) }

// enterPrivateHost prepares the namespaces of the inner process: a private /run, loopback, and the loop file system.
// It returns the mount point.
func enterPrivateHost(dir string) (string, error) {
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID, "mode=755"); err != nil {
		return "", fmt.Errorf("tmpfs on /run: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return "", fmt.Errorf("loopback: %w", err)
	}
	mnt := filepath.Join(dir, "m")
	if err := os.Mkdir(mnt, 0o755); err != nil {
		return "", err
	}
	out, err := exec.Command("mount", "-o", "loop", filepath.Join(dir, "disk.img"), mnt).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("mount the disk image: %w: %s", err, out)
	}
	return mnt, nil
}

// loopbackUp brings up lo in the current network namespace.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
		return err
	}
	req.SetUint16(req.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}
