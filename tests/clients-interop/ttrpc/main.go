// SPDX-License-Identifier: Apache-2.0

// Command peer is the official Go ttrpc library as the other end of a test: "peer serve SOCKET" is a
// server, "peer call SOCKET" and "peer stream SOCKET" are clients that check what the server does.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: peer serve|call|stream SOCKET")
		os.Exit(2)
	}
	var err error
	switch os.Args[1] {
	case "serve":
		err = serve(os.Args[2])
	case "call":
		err = runChecks(os.Args[2], unaryChecks)
	case "stream":
		err = runChecks(os.Args[2], streamChecks)
	default:
		err = fmt.Errorf("unknown mode %q", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
