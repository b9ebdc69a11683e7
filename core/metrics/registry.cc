// SPDX-License-Identifier: Apache-2.0
#include "core/metrics/registry.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <string_view>

namespace gantry::metrics {
namespace {

std::string_view TypeName(Type type) {
  switch (type) {
    case Type::kCounter:
      return "counter";
    case Type::kGauge:
      return "gauge";
    case Type::kHistogram:
      return "histogram";
  }
  return "untyped";
}

std::string Escape(std::string_view text, bool quotes) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\n') {
      escaped += "\\n";
    } else {
      if (c == '\\' || (quotes && c == '"')) escaped += '\\';
      escaped += c;
    }
  }
  return escaped;
}

std::string Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Inf" : "+Inf";
  return fmt::format("{}", value);
}

void AppendSample(std::string& out, const Family& family, const Sample& sample) {
  out += family.name + sample.suffix;
  char before = '{';
  for (const auto& [key, value] : sample.labels) {
    fmt::format_to(std::back_inserter(out), "{}{}=\"{}\"", before, key, Escape(value, true));
    before = ',';
  }
  if (!sample.labels.empty()) out += '}';
  out += ' ' + Number(sample.value) + '\n';
}

}  // namespace

Registry::Registration Registry::Add(Source source) {
  base::MutexLock lock(mutex_);
  sources_.emplace(++last_id_, std::move(source));
  return Registration(this, last_id_);
}

void Registry::Remove(uint64_t id) {
  Source last;  // dies without the lock
  base::MutexLock lock(mutex_);
  const auto found = sources_.find(id);
  last = std::move(found->second);
  sources_.erase(found);
}

std::vector<Family> Registry::Collect() const {
  std::vector<Family> collected;
  {
    // Held while the sources answer: whoever removed its source may go at once.
    base::MutexLock lock(mutex_);
    for (const auto& [id, source] : sources_) source(collected);
  }
  std::map<std::string, Family> by_name;
  for (Family& family : collected) {
    const auto [known, fresh] = by_name.try_emplace(family.name);
    if (fresh) {
      known->second = std::move(family);
    } else {
      std::ranges::move(family.samples, std::back_inserter(known->second.samples));
    }
  }
  std::vector<Family> families;
  for (auto& [name, family] : by_name) families.push_back(std::move(family));
  return families;
}

std::string Render(std::span<const Family> families) {
  std::string out;
  for (const Family& family : families) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", family.name, Escape(family.help, false),
                       family.name, TypeName(family.type));
    for (const Sample& sample : family.samples) AppendSample(out, family, sample);
  }
  return out;
}

}  // namespace gantry::metrics
