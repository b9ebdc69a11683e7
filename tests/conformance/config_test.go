// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// configDump runs "config dump" (or another action) on a file and returns what it prints.
func configDump(t testing.TB, path, action string) (string, error) {
	t.Helper()
	d := &daemon{dir: filepath.Dir(path)}
	cmd := d.command("--config", path, "config", action)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s%s", err, out, complaints.String())
	}
	return string(out), nil
}

// written writes files into a fresh folder and returns the path of the first.
func written(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		ok(t, os.MkdirAll(filepath.Dir(path), 0o755))
		ok(t, os.WriteFile(path, []byte(files[i+1]), 0o644))
	}
	return filepath.Join(dir, files[0])
}

// wantSetting looks for a "key = value" line, whatever quotes and blanks are used.
func wantSetting(t testing.TB, dump, key, value string) {
	t.Helper()
	pattern := regexp.MustCompile(`(?m)^\s*['"]?` + regexp.QuoteMeta(key) + `['"]?\s*=\s*` + value + `\s*$`)
	if !pattern.MatchString(dump) {
		t.Errorf("no %s = %s in\n%s", key, value, linesWith(dump, key))
	}
}

func linesWith(text, word string) string {
	var found []string
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "\n")
}

const commonSettings = `
root = "/some/root"
state = "/some/state"
oom_score = -7
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs"]
[timeouts]
'io.containerd.timeout.task.state' = "9s"
[proxy_plugins.remote]
type = "snapshot"
address = "/some/proxy.sock"
[stream_processors.mine]
accepts = ["application/x.mine"]
returns = "application/vnd.oci.image.layer.v1.tar"
path = "mine"
[plugins.'io.containerd.gc.v1.scheduler']
pause_threshold = 0.03
schedule_delay = "7ms"
[plugins.'io.containerd.metadata.v1.bolt']
content_sharing_policy = "isolated"
`

const oldServerSettings = `
[grpc]
address = "/some/grpc.sock"
uid = 11
gid = 12
max_recv_message_size = 1111111
[ttrpc]
address = "/some/ttrpc.sock"
uid = 13
gid = 14
[debug]
address = "/some/debug.sock"
level = "debug"
[metrics]
address = "127.0.0.1:1338"
`

// configVersions are the same settings in three versions of the format.
var configVersions = map[int]string{
	2: "version = 2\n" + commonSettings + oldServerSettings +
		"[plugins.'io.containerd.internal.v1.restart']\ninterval = \"13s\"\n",
	3: "version = 3\n" + commonSettings + oldServerSettings +
		"[plugins.'io.containerd.monitor.container.v1.restart']\ninterval = \"13s\"\n",
	4: "version = 4\n" + commonSettings + `
[debug]
level = "debug"
[plugins.'io.containerd.server.v1.grpc']
address = "/some/grpc.sock"
uid = 11
gid = 12
max_recv_message_size = 1111111
[plugins.'io.containerd.server.v1.ttrpc']
address = "/some/ttrpc.sock"
uid = 13
gid = 14
[plugins.'io.containerd.server.v1.debug']
address = "/some/debug.sock"
[plugins.'io.containerd.server.v1.metrics']
address = "127.0.0.1:1338"
[plugins.'io.containerd.monitor.container.v1.restart']
interval = "13s"
`}

func TestL184_ConfigVersions(t *testing.T) {
	t.Parallel()
	dumps := map[int]string{}
	for version, text := range configVersions {
		path := written(t, "config.toml", text)
		dump, err := configDump(t, path, "dump")
		ok(t, err)
		migrated, err := configDump(t, path, "migrate")
		ok(t, err)
		equal(t, fmt.Sprintf("migrate and dump of version %d are one", version), migrated == dump, true)
		dumps[version] = dump
	}
	for key, value := range map[string]string{
		"version": "4", "root": `['"]/some/root['"]`, "oom_score": "-7", "interval": `['"]13s['"]`,
		"io.containerd.timeout.task.state": `['"]9s['"]`, "pause_threshold": "0.03", "schedule_delay": `['"]7ms['"]`,
		"content_sharing_policy": `['"]isolated['"]`, "max_recv_message_size": "1111111", "startup_delay": `['"]100ms['"]`,
	} {
		wantSetting(t, dumps[4], key, value)
	}
	for _, version := range []int{2, 3} {
		if dumps[version] != dumps[4] {
			t.Errorf("version %d dumps differently:\n%s", version, firstDifference(dumps[version], dumps[4]))
		}
	}
}

func firstDifference(a, b string) string {
	left, right := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(left), len(right)) {
		if left[i] != right[i] {
			return fmt.Sprintf("line %d: %q against %q", i+1, left[i], right[i])
		}
	}
	return fmt.Sprintf("%d against %d lines", len(left), len(right))
}

func TestL184_DefaultConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dump, err := configDump(t, filepath.Join(dir, "absent.toml"), "default")
	ok(t, err)
	wantSetting(t, dump, "version", "4")
	wantSetting(t, dump, "pause_threshold", "0.02")
	if !strings.Contains(linesWith(dump, "imports"), "conf.d/*.toml") {
		t.Errorf("no drop-in folder: %s", linesWith(dump, "imports"))
	}
	path := written(t, "config.toml", dump)
	_, err = configDump(t, path, "dump")
	ok(t, err)
}

// failsToStart starts a daemon that must end by itself, and returns its log.
func failsToStart(t testing.TB, opts daemonOptions) string {
	t.Helper()
	d, err := newDaemon(opts)
	ok(t, err)
	ok(t, d.spawn())
	select {
	case <-d.exited:
	case <-time.After(scaled(20 * time.Second)):
		d.kill()
		t.Fatalf("it runs:\n%s", d.logTail(2000))
	}
	if d.cmd.ProcessState.ExitCode() == 0 {
		t.Errorf("it ended with 0:\n%s", d.logTail(2000))
	}
	return d.logTail(1 << 20)
}

func TestL185_BadConfigurations(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ text, wanted string }{
		"version 5":                 {"version = 5\n", "version"},
		"wrong type":                {"version = 3\nroot = 5\n", "root"},
		"wrong type in a plugin":    {"version = 3\nrequired_plugins = ['io.containerd.metadata.v1.bolt']\n[plugins.'io.containerd.metadata.v1.bolt']\nno_sync = 'x'\n", ""},
		"no TOML":                   {"version = 3\nroot = \n", ""},
		"root is state":             {"version = 3\n", "root"},
		"disabled without a dot":    {"version = 3\ndisabled_plugins = ['cri']\n", "cri"},
		"required without a dot":    {"version = 3\nrequired_plugins = ['cri']\n", "cri"},
		"required and absent":       {"version = 3\nrequired_plugins = ['io.containerd.absent.v1.x']\n", "io.containerd.absent.v1.x"},
		"bad timeout":               {"version = 3\n[timeouts]\n'io.containerd.timeout.task.state' = 'x'\n", ""},
		"content policy, required":  {"version = 3\nrequired_plugins = ['io.containerd.metadata.v1.bolt']\n[plugins.'io.containerd.metadata.v1.bolt']\ncontent_sharing_policy = 'x'\n", "policy"},
		"import of an absent file":  {"version = 3\nimports = ['absent.toml']\n", "absent.toml"},
		"import of a broken file":   {"version = 3\nimports = ['broken.toml']\n", "broken.toml"},
		"import of a newer version": {"version = 3\nimports = ['newest.toml']\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			opts := daemonOptions{name: "bad", raw: row.text}
			d, err := newDaemon(opts)
			ok(t, err)
			ok(t, os.WriteFile(filepath.Join(d.dir, "broken.toml"), []byte("nonsense ="), 0o644))
			ok(t, os.WriteFile(filepath.Join(d.dir, "newest.toml"), []byte("version = 99\n"), 0o644))
			if name == "root is state" {
				d.opts.args = []string{"--state", d.root}
			}
			ok(t, d.spawn())
			select {
			case <-d.exited:
			case <-time.After(scaled(20 * time.Second)):
				d.kill()
				t.Fatalf("it runs:\n%s", d.logTail(2000))
			}
			if d.cmd.ProcessState.ExitCode() == 0 || !strings.Contains(strings.ToLower(d.logTail(1<<20)), row.wanted) {
				t.Errorf("%s:\n%s", d.cmd.ProcessState, d.logTail(2000))
			}
		})
	}
}

func TestL185_UnknownKeys(t *testing.T) {
	t.Parallel()
	d, err := newDaemon(daemonOptions{name: "keys"})
	ok(t, err)
	text := "# one line more\n" + d.baseConfig() + "[plugins.'io.containerd.metadata.v1.bolt']\nnonsense_inside = true\n"
	text = strings.Replace(text, "version = 3\n", "version = 3\nnonsense_outside = 1\n", 1)
	d.opts.raw = text
	ok(t, d.writeConfig())
	ok(t, d.start())
	defer d.stop(t)
	log := d.logTail(1 << 20)
	for _, key := range []string{"nonsense_outside", "nonsense_inside"} {
		line := linesWith(log, key)
		if !strings.Contains(line, "warn") {
			t.Errorf("no warning about %s: %s", key, line)
		}
	}
	if !strings.Contains(linesWith(log, "nonsense_outside"), "3") {
		t.Errorf("no position: %s", linesWith(log, "nonsense_outside"))
	}
}

func TestL186_Imports(t *testing.T) {
	t.Parallel()
	path := written(t,
		"config.toml", `version = 3
root = "/main/root"
oom_score = -7
imports = ["more.toml", "conf.d/*.toml", "nothing.d/*.toml"]
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs"]
[timeouts]
'io.containerd.timeout.task.state' = "1s"
'io.containerd.timeout.shim.load' = "2s"
[proxy_plugins.one]
type = "snapshot"
address = "/main/one.sock"
[plugins.'io.containerd.gc.v1.scheduler']
pause_threshold = 0.03
mutation_threshold = 33
`,
		"more.toml", `version = 3
imports = ["conf.d/deeper.toml", "config.toml"]
root = "/more/root"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.zfs"]
[plugins.'io.containerd.gc.v1.scheduler']
pause_threshold = 0.04
`,
		"conf.d/deeper.toml", `version = 2
[plugins.'io.containerd.internal.v1.restart']
interval = "15s"
`,
		"conf.d/zz.toml", `version = 3
[timeouts]
'io.containerd.timeout.task.state' = "5s"
[proxy_plugins.two]
type = "snapshot"
address = "/two.sock"
[proxy_plugins.one]
type = "snapshot"
address = "/replaced.sock"
`)
	dump, err := configDump(t, path, "dump")
	ok(t, err)
	for key, value := range map[string]string{
		"root": `['"]/more/root['"]`, "oom_score": "-7", "pause_threshold": "0.04", "mutation_threshold": "33",
		"interval": `['"]15s['"]`, "io.containerd.timeout.task.state": `['"]5s['"]`,
		"io.containerd.timeout.shim.load": `['"]2s['"]`,
	} {
		wantSetting(t, dump, key, value)
	}
	disabled := linesWith(dump, "disabled_plugins")
	for _, id := range []string{"btrfs", "zfs"} {
		if !strings.Contains(disabled, id) {
			t.Errorf("%s is not disabled: %s", id, disabled)
		}
	}
	for _, address := range []string{"/replaced.sock", "/two.sock"} {
		if !strings.Contains(dump, address) {
			t.Errorf("no proxy at %s", address)
		}
	}
	if strings.Contains(dump, "/main/one.sock") {
		t.Error("the replaced proxy is still there")
	}
}

func TestL187_NoImplicitDropIns(t *testing.T) {
	t.Parallel()
	path := written(t, "config.toml", "version = 3\nroot = '/main/root'\n", "conf.d/x.toml", "version = 3\nroot = '/dropped/root'\n")
	dump, err := configDump(t, path, "dump")
	ok(t, err)
	wantSetting(t, dump, "root", `['"]/main/root['"]`)
}

func TestL189_FailingPlugins(t *testing.T) {
	t.Parallel()
	const broken = "[plugins.'io.containerd.snapshotter.v1.native']\nroot_path = '/dev/null/x'\n"
	d := startDaemon(t, daemonOptions{name: "opt", config: broken})
	equal(t, "it failed", d.env(t).plugin("io.containerd.snapshotter.v1", "native").InitErr != nil, true)
	log := failsToStart(t, daemonOptions{name: "req",
		raw: "version = 3\nrequired_plugins = ['io.containerd.snapshotter.v1.native']\n" + broken})
	if !strings.Contains(log, "native") {
		t.Errorf("the log does not name the plugin:\n%s", log)
	}
}

// isTable tells whether a section is the value of a plugin's key: what stands in there is the user's.
func isTable(section string) bool {
	return strings.HasPrefix(section, "plugins.'") && !strings.HasSuffix(section, "'")
}

// TestConfigurationIsDocumented holds docs/configuration.md to every section and key that the daemon prints.
func TestConfigurationIsDocumented(t *testing.T) {
	gantryOnly(t, "documented elsewhere")
	t.Parallel()
	page, err := os.ReadFile("../../docs/configuration.md")
	ok(t, err)
	d := &daemon{dir: t.TempDir()}
	out, err := d.command("config", "default").Output()
	ok(t, err)
	section := ""
	for _, line := range strings.Split(string(out), "\n") {
		line = strings.TrimSpace(line)
		name, _, isKey := strings.Cut(line, " = ")
		switch {
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
			name, isKey = strings.Trim(strings.TrimPrefix(section, "plugins."), "'"), strings.HasPrefix(section, "plugins.")
			if isTable(section) {
				name = section[strings.LastIndex(section, ".")+1:]
			}
		case strings.HasPrefix(section, "stream_processors."), isTable(section):
			continue
		case section == "cgroup" || section == "debug":
			name = "[" + section + "] " + name
		}
		name = strings.TrimPrefix(strings.Trim(name, "'"), "io.containerd.timeout.")
		if isKey && !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("%s (section %q) is not on the page", name, section)
		}
	}
}
