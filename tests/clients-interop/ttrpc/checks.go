// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type check struct {
	name string
	run  func(ctx context.Context, client *ttrpc.Client) error
}

func runChecks(socket string, checks []check) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	for _, check := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		err := check.run(ctx, client)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", check.name, err)
		}
		fmt.Println("ok", check.name)
	}
	return nil
}

func call(ctx context.Context, client *ttrpc.Client, method, in string) (string, error) {
	var out wrapperspb.StringValue
	err := client.Call(ctx, service, method, wrapperspb.String(in), &out)
	return out.Value, err
}

func expect(ctx context.Context, client *ttrpc.Client, method, in, want string) error {
	out, err := call(ctx, client, method, in)
	if err != nil {
		return err
	}
	if out != want {
		return fmt.Errorf("%s(%.40q) = %.40q, want %.40q", method, in, out, want)
	}
	return nil
}

func expectCode(err error, want codes.Code) error {
	if got := status.Code(err); got != want {
		return fmt.Errorf("code %v (%v), want %v", got, err, want)
	}
	return nil
}

var unaryChecks = []check{
	{"echo", func(ctx context.Context, client *ttrpc.Client) error {
		return errors.Join(expect(ctx, client, "Echo", "hello", "hello"), expect(ctx, client, "Echo", "", ""))
	}},
	{"empty message", func(ctx context.Context, client *ttrpc.Client) error {
		return client.Call(ctx, service, "Nothing", &emptypb.Empty{}, &emptypb.Empty{})
	}},
	{"metadata", func(ctx context.Context, client *ttrpc.Client) error {
		ctx = ttrpc.WithMetadata(ctx, ttrpc.MD{"containerd-namespace-ttrpc": []string{"k8s.io", "other"}})
		return expect(ctx, client, "Namespace", "", "k8s.io")
	}},
	{"codes and messages", checkCodes},
	{"unknown service", func(ctx context.Context, client *ttrpc.Client) error {
		err := client.Call(ctx, "gantry.test.Nothing", "Echo", &emptypb.Empty{}, &emptypb.Empty{})
		return expectCode(err, codes.Unimplemented)
	}},
	{"unknown method", func(ctx context.Context, client *ttrpc.Client) error {
		_, err := call(ctx, client, "Missing", "")
		return expectCode(err, codes.Unimplemented)
	}},
	{"deadline at the server", func(ctx context.Context, client *ttrpc.Client) error {
		out, err := call(ctx, client, "Left", "")
		if err == nil && (len(out) != 5 || out > "30000") {
			err = fmt.Errorf("%q milliseconds left", out)
		}
		return err
	}},
	{"deadline at the client", func(ctx context.Context, client *ttrpc.Client) error {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if _, err := call(short, client, "Sleep", ""); !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("got %v", err)
		}
		return expect(ctx, client, "Echo", "next", "next")
	}},
	{"a thousand at once", checkMany},
	{"largest message", func(ctx context.Context, client *ttrpc.Client) error {
		big := strings.Repeat("x", 4<<20-200)
		return expect(ctx, client, "Echo", big, big)
	}},
	{"message over the limit", func(ctx context.Context, client *ttrpc.Client) error {
		_, err := call(ctx, client, "Big", "5000000")
		return errors.Join(expectCode(err, codes.ResourceExhausted), expect(ctx, client, "Echo", "next", "next"))
	}},
}

func checkCodes(ctx context.Context, client *ttrpc.Client) error {
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		_, err := call(ctx, client, "Fail", fmt.Sprintf("%d it broke", code))
		if err := expectCode(err, code); err != nil {
			return err
		}
		if !strings.HasPrefix(status.Convert(err).Message(), "it broke") {
			return fmt.Errorf("message %q", err)
		}
	}
	return nil
}

func checkMany(ctx context.Context, client *ttrpc.Client) error {
	var group sync.WaitGroup
	failures := make(chan error, 1000)
	slots := make(chan struct{}, 200)
	for i := 0; i < 1000; i++ {
		group.Add(1)
		slots <- struct{}{}
		go func() {
			defer group.Done()
			value := fmt.Sprint(i)
			failures <- expect(ctx, client, "Echo", value, value)
			<-slots
		}()
	}
	group.Wait()
	close(failures)
	var all error
	for failure := range failures {
		all = errors.Join(all, failure)
	}
	return all
}

func receiveAll(stream ttrpc.ClientStream) ([]string, error) {
	var all []string
	for {
		var in wrapperspb.StringValue
		if err := stream.RecvMsg(&in); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return all, err
		}
		all = append(all, in.Value)
	}
}

func send(stream ttrpc.ClientStream, values ...string) error {
	for _, value := range values {
		if err := stream.SendMsg(wrapperspb.String(value)); err != nil {
			return err
		}
	}
	return stream.CloseSend()
}

func same(got []string, err error, want ...string) error {
	if err == nil && strings.Join(got, "|") != strings.Join(want, "|") {
		err = fmt.Errorf("got %q, want %q", got, want)
	}
	return err
}

var streamChecks = []check{
	{"both ways", func(ctx context.Context, client *ttrpc.Client) error {
		stream, err := client.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true},
			service, "Upper", nil)
		if err != nil {
			return err
		}
		if err := send(stream, "a", "", "b"); err != nil {
			return err
		}
		got, err := receiveAll(stream)
		return same(got, err, "A", "", "B")
	}},
	{"from the server", func(ctx context.Context, client *ttrpc.Client) error {
		stream, err := client.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, service, "Count",
			wrapperspb.String("4"))
		if err != nil {
			return err
		}
		got, err := receiveAll(stream)
		return same(got, err, "", "1", "", "3")
	}},
	{"from the server, failing", func(ctx context.Context, client *ttrpc.Client) error {
		stream, err := client.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, service, "Count",
			wrapperspb.String("fail"))
		if err != nil {
			return err
		}
		_, err = receiveAll(stream)
		return expectCode(err, codes.Aborted)
	}},
	{"from the client", func(ctx context.Context, client *ttrpc.Client) error {
		stream, err := client.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true}, service, "Join", nil)
		if err != nil {
			return err
		}
		if err := send(stream, "x", "", "y"); err != nil {
			return err
		}
		var out wrapperspb.StringValue
		if err := stream.RecvMsg(&out); err != nil {
			return err
		}
		return same([]string{out.Value}, nil, "x;;y;")
	}},
}
