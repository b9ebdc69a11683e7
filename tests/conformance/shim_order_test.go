// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	runctypes "github.com/containerd/containerd/api/types/runc/options"
	taskapi "github.com/containerd/containerd/api/types/task"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// erraticRuntime lets other pass before or after its work, or neither: a command may begin late, and may tell late what it has done.
// Some of its pids decide.
func erraticRuntime(t testing.TB) string {
	t.Helper()
	return script(t, "erratic", fmt.Sprintf(`case $(($$ %% 3)) in 0) sleep 0.0$(($$ / 3 %% 4));; esac
%s "$@"
result=$?
case $(($$ %% 5)) in 0|1) sleep 0.0$(($$ / 5 %% 6));; esac
exit $result
`, quickRuntime()))
}

// life is one container of the order test: what is done with it, and the events that this may give, which a rule may interleave with
// no others. Names of execs follow their topic.
type life struct {
	name   string
	live   func(b *box) error // none: it cannot be created
	args   []string
	spec   []oci.SpecOpts
	events []string // every admissible order
}

func lives() []life {
	sleep, hostPIDs := []string{"sleep", "1000"}, []oci.SpecOpts{oci.WithHostNamespace(specs.PIDNamespace)}
	plain := life{name: "true", args: []string{"true"}, live: (*box).liveToTheEnd, events: []string{"create start exit delete"}}
	return []life{
		plain,
		{"exec", (*box).liveWithExec, sleep, nil, []string{"create start exec-added:x exec-started:x exit:x exit delete"}},
		plain,
		{"failing create", nil, []string{"/no/such/command"}, nil, []string{""}},
		plain,
		{"never started", (*box).liveWithoutStart, sleep, nil, []string{"create exit delete", "create delete"}},
		plain,
		{"failing exec", (*box).liveWithFailingExec, sleep, nil, []string{"create start exec-added:x exit delete"}},
		plain,
		{"exec at the end", (*box).liveWithLastingExec, sleep, nil, []string{"create start exec-added:x exec-started:x exit:x exit delete"}},
		plain,
		{"exec at the end, the host's pids", (*box).liveWithLastingExec, sleep, hostPIDs,
			[]string{"create start exec-added:x exec-started:x exit:x exit delete"}},
	}
}

// TestS085_OrderWithAnErraticRuntime lets GANTRY_ORDER_RUNS containers live in the ways above, some at a time and all in two shims, and
// judges the events by the rules of their order: create first, a start before its exit, the init process's exit last, the deletion after
// it, nothing of what failed. When an exit is announced, the state tells of it.
func TestS085_OrderWithAnErraticRuntime(t *testing.T) {
	ownShimOnly(t, "it announces some deletions before the exits")
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "order"}).env(t)
	lower, err := busyboxRoot()
	ok(t, err)
	kinds, options := lives(), &runctypes.Options{BinaryName: erraticRuntime(t)}
	boxes, ways := make([]*box, amount(t, "GANTRY_ORDER_RUNS", 120)), make([]boxOptions, 0)
	for i := range boxes {
		kind := kinds[i%len(kinds)]
		group := oci.WithAnnotations(map[string]string{"io.containerd.runc.v2.group": fmt.Sprint("g", i%2)})
		ways = append(ways, boxOptions{id: fmt.Sprint("o", i), args: kind.args, io: cio.NullIO, options: options,
			spec: append([]oci.SpecOpts{group, olderSpec}, kind.spec...),
			// Nobody writes: one folder serves all.
			rootfs: []mount.Mount{{Type: "bind", Source: lower, Options: []string{"rbind", "ro"}}}})
		boxes[i] = e.newContainer(ways[i])
	}
	keepers := []*box{e.grouped("g0"), e.grouped("g1")}
	judge := newOrderJudge(e, keepers[0].id, keepers[1].id)
	numbers := make(chan int)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for i := range numbers {
				if err := boxes[i].liveAs(kinds[i%len(kinds)], ways[i]); err != nil {
					t.Errorf("%s, a life of kind %q: %v", boxes[i].id, kinds[i%len(kinds)].name, err)
				}
			}
		})
	}
	start := time.Now()
	for i := range boxes {
		numbers <- i
	}
	close(numbers)
	workers.Wait()
	t.Logf("%d lives in %v", len(boxes), time.Since(start).Round(time.Millisecond))
	for _, b := range keepers {
		b.finish()
	}
	orders := judge.orders()
	for i, b := range boxes {
		if kind := kinds[i%len(kinds)]; !slices.Contains(kind.events, orders[b.id]) {
			t.Errorf("%s, a life of kind %q, gave %q, want %q", b.id, kind.name, orders[b.id], kind.events)
		}
	}
}

// liveAs creates the task and lives. Being called beside the test, it reports nothing itself.
func (b *box) liveAs(kind life, o boxOptions) error {
	err := b.tryCreate(o)
	if kind.live == nil {
		if err == nil {
			return errors.New("a command that is not there was found")
		}
		return nil
	}
	if err != nil {
		return err
	}
	return kind.live(b)
}

// end waits for the exit with a status and deletes.
func (b *box) end(want uint32) error {
	select {
	case exit := <-b.exits:
		if exit.Error() != nil || exit.ExitCode() != want {
			return fmt.Errorf("exit status %d, %v", exit.ExitCode(), exit.Error())
		}
	case <-b.e.ctx.Done():
		return b.e.ctx.Err()
	}
	_, err := b.task.Delete(b.e.ctx)
	return err
}

func (b *box) killed() error {
	if err := b.task.Kill(b.e.ctx, syscall.SIGKILL); err != nil {
		return err
	}
	return b.end(137)
}

func (b *box) liveToTheEnd() error {
	if err := b.task.Start(b.e.ctx); err != nil {
		return err
	}
	return b.end(0)
}

func (b *box) liveWithExec() error {
	process, err := b.startWithExec("true")
	if err != nil {
		return err
	}
	exits, err := process.Wait(b.e.ctx)
	if err != nil {
		return err
	}
	if err := process.Start(b.e.ctx); err != nil {
		return err
	}
	if exit := <-exits; exit.Error() != nil || exit.ExitCode() != 0 {
		return fmt.Errorf("exit status %d of the exec, %v", exit.ExitCode(), exit.Error())
	}
	return b.killed()
}

func (b *box) startWithExec(args ...string) (containerd.Process, error) {
	if err := b.task.Start(b.e.ctx); err != nil {
		return nil, err
	}
	return b.task.Exec(b.e.ctx, "x", processSpec(false, args...), cio.NullIO)
}

func (b *box) liveWithoutStart() error {
	_, err := b.e.tasks().Delete(b.e.ctx, &tasksapi.DeleteTaskRequest{ContainerID: b.id})
	return err
}

func (b *box) liveWithFailingExec() error {
	process, err := b.startWithExec("/no/such/command")
	if err != nil {
		return err
	}
	if process.Start(b.e.ctx) == nil {
		return errors.New("an exec of a command that is not there was started")
	}
	return b.killed()
}

func (b *box) liveWithLastingExec() error {
	process, err := b.startWithExec("sleep", "1000")
	if err != nil {
		return err
	}
	if err := process.Start(b.e.ctx); err != nil {
		return err
	}
	return b.killed()
}

// orderJudge reads the events of tasks as they come, until the exits of the containers that are to be the last.
type orderJudge struct {
	e      *env
	words  map[string][]string // per container
	done   chan struct{}
	events *subscriber
}

func newOrderJudge(e *env, last ...string) *orderJudge {
	j := &orderJudge{e: e, words: map[string][]string{}, done: make(chan struct{}), events: e.subscribe(`topic~="^/tasks/"`)}
	go func() {
		defer close(j.done)
		for len(last) > 0 {
			select {
			case envelope := <-j.events.events:
				id := containerOfEvent(envelope)
				if exec := execOfEvent(envelope, id); envelope.Topic == "/tasks/exit" {
					j.judgeState(id, exec)
					last = slices.DeleteFunc(last, func(one string) bool { return one == id && exec == "" })
				}
				j.words[id] = append(j.words[id], wordOf(envelope, id))
			case <-e.ctx.Done():
				return
			}
		}
	}()
	return j
}

// judgeState demands that what has been announced is so.
func (j *orderJudge) judgeState(id, exec string) {
	answer, err := j.e.tasks().Get(j.e.ctx, &tasksapi.GetRequest{ContainerID: id, ExecID: exec})
	if status.Code(err) == codes.NotFound {
		return // it has been deleted since
	}
	if err != nil || answer.Process.Status != taskapi.Status_STOPPED {
		j.e.t.Errorf("%s %s after its exit: %v, %v", id, exec, answer.GetProcess().GetStatus(), err)
	}
}

// orders tells for each container its events in their order.
func (j *orderJudge) orders() map[string]string {
	within(j.e.t, "the last exits", func() bool { <-j.done; return true })
	orders := map[string]string{}
	for id, words := range j.words {
		orders[id] = strings.Join(words, " ")
	}
	return orders
}

func wordOf(envelope *types.Envelope, container string) string {
	word := strings.TrimPrefix(envelope.Topic, "/tasks/")
	if exec := execOfEvent(envelope, container); exec != "" {
		word += ":" + exec
	}
	return word
}

// execOfEvent is the exec that an event is about, if it is about one.
func execOfEvent(envelope *types.Envelope, container string) string {
	switch envelope.Topic {
	case "/tasks/exec-added":
		return decode[*eventtypes.TaskExecAdded](envelope).ExecID
	case "/tasks/exec-started":
		return decode[*eventtypes.TaskExecStarted](envelope).ExecID
	case "/tasks/exit":
		if id := decode[*eventtypes.TaskExit](envelope).ID; id != container {
			return id
		}
	}
	return ""
}
