// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"github.com/containerd/containerd/api/types"
)

// sandboxOf is a valid sandbox record.
func sandboxOf(id string) *types.Sandbox {
	return &types.Sandbox{SandboxID: id, Sandboxer: "podsandbox", Runtime: &types.Sandbox_Runtime{Name: runcName}}
}
