// SPDX-License-Identifier: Apache-2.0

// Command proxysnap serves the official snapshotters over gRPC as a proxy plugin, with faults on demand.
package main

import (
	"os"

	"conformance/internal/proxy"
)

func main() { os.Exit(proxy.Main(os.Args[1:])) }
