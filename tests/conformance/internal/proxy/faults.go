// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Fault is one order, stored as JSON in the fault folder in a file named after the method: prepare, view, commit,
// remove, stat, mounts, usage, update, cleanup. The file's removal ends the fault, also for calls that hang in it.
type Fault struct {
	Mode  string // see the constants
	Key   string // acts only on calls whose key (commit: either name) contains this
	Class string // error class for ModeError, one of Classes
	Delay time.Duration
}

// The modes of a fault.
const (
	ModeError     = "error"      // fail before the backend is asked
	ModeHang      = "hang"       // wait before the backend is asked
	ModeHangAfter = "hang-after" // wait after the backend has acted
	ModeDelay     = "delay"      // wait for Delay, then go on
	ModeTarget    = "target"     // prepare only: commit a snapshot under the target label, answer AlreadyExists
)

// Classes are the error classes that ModeError can produce.
var Classes = map[string]error{
	"invalid argument":    errdefs.ErrInvalidArgument,
	"not found":           errdefs.ErrNotFound,
	"already exists":      errdefs.ErrAlreadyExists,
	"permission denied":   errdefs.ErrPermissionDenied,
	"resource exhausted":  errdefs.ErrResourceExhausted,
	"failed precondition": errdefs.ErrFailedPrecondition,
	"conflict":            errdefs.ErrConflict,
	"not modified":        errdefs.ErrNotModified,
	"aborted":             errdefs.ErrAborted,
	"out of range":        errdefs.ErrOutOfRange,
	"not implemented":     errdefs.ErrNotImplemented,
	"internal":            errdefs.ErrInternal,
	"unavailable":         errdefs.ErrUnavailable,
	"data loss":           errdefs.ErrDataLoss,
	"unauthenticated":     errdefs.ErrUnauthenticated,
	"unknown":             errdefs.ErrUnknown,
}

// Call is one line of the call log.
type Call struct {
	Method    string
	Namespace string
	Lease     string
	Request   json.RawMessage
}

// board is the folder through which a test and this process talk.
type board struct {
	dir string
	mu  sync.Mutex
}

// unary notes each call before it is served.
func (b *board) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := b.note(ctx, req, info.FullMethod); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

func (b *board) note(ctx context.Context, req any, method string) error {
	call := Call{Method: method[strings.LastIndex(method, "/")+1:]}
	md, _ := metadata.FromIncomingContext(ctx)
	call.Namespace = strings.Join(md.Get("containerd-namespace"), ",")
	call.Lease = strings.Join(md.Get("containerd-lease"), ",")
	if message, isProto := req.(proto.Message); isProto {
		call.Request, _ = protojson.Marshal(message)
	}
	line, err := json.Marshal(call)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f, err := os.OpenFile(filepath.Join(b.dir, "calls"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(line, '\n'))
	return err
}

// fault returns the order that is in force for a method and a key.
func (b *board) fault(method string, keys ...string) *Fault {
	text, err := os.ReadFile(filepath.Join(b.dir, method))
	if err != nil {
		return nil
	}
	var fault Fault
	if json.Unmarshal(text, &fault) != nil {
		return nil
	}
	for _, key := range keys {
		if strings.Contains(key, fault.Key) {
			return &fault
		}
	}
	return nil
}

// before acts on the faults that precede the backend.
func (b *board) before(ctx context.Context, method string, keys ...string) error {
	fault := b.fault(method, keys...)
	if fault == nil {
		return nil
	}
	switch fault.Mode {
	case ModeError:
		return fmt.Errorf("ordered: %w", Classes[fault.Class])
	case ModeHang:
		return b.hang(ctx, method)
	case ModeDelay:
		time.Sleep(fault.Delay)
	}
	return nil
}

// after acts on the faults that follow the backend's success.
func (b *board) after(ctx context.Context, method string, keys ...string) error {
	if fault := b.fault(method, keys...); fault != nil && fault.Mode == ModeHangAfter {
		return b.hang(ctx, method)
	}
	return nil
}

// hang waits until the fault file is gone or the caller is, and makes a file "<method>.reached" before.
func (b *board) hang(ctx context.Context, method string) error {
	if err := os.WriteFile(filepath.Join(b.dir, method+".reached"), nil, 0o644); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(b.dir, method)); err != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
