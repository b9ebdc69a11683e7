// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
)

// labelTarget names the committed snapshot that a Prepare is a step towards.
const labelTarget = "containerd.io/snapshot.ref"

// faulty is a snapshotter that obeys the fault folder.
type faulty struct {
	snapshots.Snapshotter
	board *board
}

func (f *faulty) Prepare(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	if err := f.board.before(ctx, "prepare", key); err != nil {
		return nil, err
	}
	if fault := f.board.fault("prepare", key); fault != nil && fault.Mode == ModeTarget {
		return nil, f.provideTarget(ctx, key, parent, opts)
	}
	mounts, err := f.Snapshotter.Prepare(ctx, key, parent, opts...)
	if err != nil {
		return nil, err
	}
	return mounts, f.board.after(ctx, "prepare", key)
}

// provideTarget does what a remote snapshotter does when it already has the layer.
func (f *faulty) provideTarget(ctx context.Context, key, parent string, opts []snapshots.Opt) error {
	var info snapshots.Info
	for _, opt := range opts {
		if err := opt(&info); err != nil {
			return err
		}
	}
	target := info.Labels[labelTarget]
	if target == "" {
		return fmt.Errorf("no target on %q: %w", key, errdefs.ErrInvalidArgument)
	}
	if _, err := f.Snapshotter.Prepare(ctx, key, parent, opts...); err != nil {
		return err
	}
	if err := f.Snapshotter.Commit(ctx, "remote-"+target, key, opts...); err != nil {
		return err
	}
	return fmt.Errorf("target %q: %w", target, errdefs.ErrAlreadyExists)
}

func (f *faulty) View(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	if err := f.board.before(ctx, "view", key); err != nil {
		return nil, err
	}
	return f.Snapshotter.View(ctx, key, parent, opts...)
}

func (f *faulty) Commit(ctx context.Context, name, key string, opts ...snapshots.Opt) error {
	if err := f.board.before(ctx, "commit", name, key); err != nil {
		return err
	}
	if err := f.Snapshotter.Commit(ctx, name, key, opts...); err != nil {
		return err
	}
	return f.board.after(ctx, "commit", name, key)
}

func (f *faulty) Remove(ctx context.Context, key string) error {
	if err := f.board.before(ctx, "remove", key); err != nil {
		return err
	}
	return f.Snapshotter.Remove(ctx, key)
}

func (f *faulty) Stat(ctx context.Context, key string) (snapshots.Info, error) {
	if err := f.board.before(ctx, "stat", key); err != nil {
		return snapshots.Info{}, err
	}
	return f.Snapshotter.Stat(ctx, key)
}

func (f *faulty) Mounts(ctx context.Context, key string) ([]mount.Mount, error) {
	if err := f.board.before(ctx, "mounts", key); err != nil {
		return nil, err
	}
	return f.Snapshotter.Mounts(ctx, key)
}

func (f *faulty) Usage(ctx context.Context, key string) (snapshots.Usage, error) {
	if err := f.board.before(ctx, "usage", key); err != nil {
		return snapshots.Usage{}, err
	}
	return f.Snapshotter.Usage(ctx, key)
}

func (f *faulty) Update(ctx context.Context, info snapshots.Info, fields ...string) (snapshots.Info, error) {
	if err := f.board.before(ctx, "update", info.Name); err != nil {
		return snapshots.Info{}, err
	}
	return f.Snapshotter.Update(ctx, info, fields...)
}

// Cleanup passes the backend's own on, if it has one.
func (f *faulty) Cleanup(ctx context.Context) error {
	if err := f.board.before(ctx, "cleanup", ""); err != nil {
		return err
	}
	cleaner, can := f.Snapshotter.(snapshots.Cleaner)
	if !can {
		return errdefs.ErrNotImplemented
	}
	return cleaner.Cleanup(ctx)
}
