// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// metric is one line of the table: samples of one step, by daemon.
type metric struct {
	group, step, unit string
	samples           map[string][]float64
}

// results in the order in which they were first met. Several goroutines may add.
type results struct {
	mu      sync.Mutex
	metrics []*metric
	first   string // what stands over the column of gantryd's figures
}

func newResults() *results { return &results{first: "gantryd"} }

func (r *results) add(group, step, unit, daemon string, value float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.metrics {
		if m.group == group && m.step == step {
			m.samples[daemon] = append(m.samples[daemon], value)
			return
		}
	}
	r.metrics = append(r.metrics, &metric{group, step, unit, map[string][]float64{daemon: {value}}})
}

// recorder adds for one daemon, or drops what it is told while it has no results.
type recorder struct {
	results *results
	daemon  string
}

func (r *recorder) add(group, step, unit string, value float64) {
	if r.results != nil {
		r.results.add(group, step, unit, r.daemon, value)
	}
}

// stopwatch records the steps of one piece of work, and their sum.
type stopwatch struct {
	to          *recorder
	group       string
	began, last time.Time
}

func (r *recorder) watch(group string) *stopwatch {
	now := time.Now()
	return &stopwatch{r, group, now, now}
}

func (s *stopwatch) step(name string) {
	now := time.Now()
	s.to.add(s.group, name, "ms", milliseconds(now.Sub(s.last)))
	s.last = now
}

func (s *stopwatch) total(name string) {
	s.to.add(s.group, name, "ms", milliseconds(s.last.Sub(s.began)))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// quantile of the samples, by nearest rank.
func quantile(samples []float64, q float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	rank := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[max(0, min(rank, len(sorted)-1))]
}

func (m *metric) at(daemon string, q float64) float64 { return quantile(m.samples[daemon], q) }

func (m *metric) ratio(q float64) float64 { return m.at("gantryd", q) / m.at("containerd", q) }

// print writes a table: p50 and p99 of both, and how they relate.
func (r *results) print(to io.Writer) {
	const row = "%-34s %5s %4s %10s %10s %6s   %10s %10s %6s\n"
	fmt.Fprintf(to, row, "", "", "", r.first, "containerd", "", r.first, "containerd", "")
	fmt.Fprintf(to, row, "", "unit", "n", "p50", "p50", "ratio", "p99", "p99", "ratio")
	group := ""
	for _, m := range r.metrics {
		if m.group != group {
			group = m.group
			fmt.Fprintln(to, group)
		}
		n := max(len(m.samples["gantryd"]), len(m.samples["containerd"]))
		tail := []string{"", "", ""}
		if n > 1 {
			tail = []string{figure(m.at("gantryd", 0.99)), figure(m.at("containerd", 0.99)), fmt.Sprintf("%.2f", m.ratio(0.99))}
		}
		fmt.Fprintf(to, row, "  "+m.step, m.unit, fmt.Sprint(n), figure(m.at("gantryd", 0.5)), figure(m.at("containerd", 0.5)),
			fmt.Sprintf("%.2f", m.ratio(0.5)), tail[0], tail[1], tail[2])
	}
}

func figure(value float64) string {
	switch {
	case math.IsNaN(value):
		return "-"
	case value >= 100:
		return fmt.Sprintf("%.0f", value)
	case value >= 10:
		return fmt.Sprintf("%.1f", value)
	}
	return fmt.Sprintf("%.2f", value)
}

type metricJSON struct {
	Group   string               `json:"group"`
	Step    string               `json:"step"`
	Unit    string               `json:"unit"`
	P50     map[string]float64   `json:"p50"`
	P99     map[string]float64   `json:"p99"`
	Ratio   float64              `json:"ratio_p50,omitempty"`
	Samples map[string][]float64 `json:"samples"`
}

// writeJSON keeps every sample, so that other statistics can be made later.
func (r *results) writeJSON(path string, facts map[string]string) error {
	var list []metricJSON
	for _, m := range r.metrics {
		entry := metricJSON{m.group, m.step, m.unit, map[string]float64{}, map[string]float64{}, 0, m.samples}
		for daemon := range m.samples {
			entry.P50[daemon], entry.P99[daemon] = m.at(daemon, 0.5), m.at(daemon, 0.99)
		}
		if ratio := m.ratio(0.5); !math.IsNaN(ratio) && !math.IsInf(ratio, 0) {
			entry.Ratio = ratio
		}
		list = append(list, entry)
	}
	text, err := json.MarshalIndent(map[string]any{"facts": facts, "metrics": list}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
