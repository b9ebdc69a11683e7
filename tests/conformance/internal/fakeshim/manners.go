// SPDX-License-Identifier: Apache-2.0

package fakeshim

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"
)

// EnvFolder names the folder of the manners. It is part of the daemon's environment, which shims inherit.
const EnvFolder = "GANTRY_FAKESHIM"

// Manners is the file "manners" of the folder, in JSON.
type Manners struct {
	Legacy          bool     // speak the dialect of before containerd 2.3, and refuse the newer one
	Services        []string // task services to register, such as containerd.task.v2.Task; both versions without it
	ShutdownByClose bool     // Shutdown is answered by the end of the connection
}

func readManners() (Manners, error) {
	var manners Manners
	text, err := os.ReadFile(filepath.Join(os.Getenv(EnvFolder), "manners"))
	if err != nil {
		return manners, err
	}
	return manners, json.Unmarshal(text, &manners)
}

// hang waits while the folder holds a file "<method>.<container>", and makes a file "<method>.<container>.reached".
func hang(ctx context.Context, method, id string) error {
	path := filepath.Join(os.Getenv(EnvFolder), method+"."+id)
	for {
		if _, err := os.Stat(path); err != nil {
			return nil
		}
		if err := os.WriteFile(path+".reached", nil, 0o600); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
