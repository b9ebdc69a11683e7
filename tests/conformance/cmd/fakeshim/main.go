// SPDX-License-Identifier: Apache-2.0

// Command fakeshim is a containerd v2 shim whose containers are sleeping processes, with manners on demand. Installed
// as containerd-shim-fake-v1 it serves the runtime io.containerd.fake.v1.
package main

import (
	"os"

	"conformance/internal/fakeshim"
)

func main() { os.Exit(fakeshim.Main(os.Args[1:])) }
