// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"

	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/types/known/anypb"
)

// processOf is an exec's process with the given command.
func processOf(args ...string) *anypb.Any {
	body, _ := json.Marshal(specs.Process{Args: args, Cwd: "/", Env: []string{"PATH=/bin"}})
	return &anypb.Any{TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process", Value: body}
}
