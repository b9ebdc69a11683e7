// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/output/table.h"

#include <algorithm>
#include <cstdio>

namespace gantry::gctr {
namespace {

constexpr size_t kTab = 8;

size_t RoundUpToTab(size_t width) { return (width + kTab - 1) / kTab * kTab; }

}  // namespace

std::string Table::Format() const {
  std::vector<size_t> widths;
  for (const std::vector<std::string>& row : rows_) {
    if (widths.size() < row.size()) widths.resize(row.size());
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size() + gap_);
  }
  std::string text;
  for (const std::vector<std::string>& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 == row.size()) continue;
      if (fill_ == Fill::kBlanks) {
        text.append(widths[i] - row[i].size(), ' ');
      } else {
        const size_t missing = RoundUpToTab(widths[i]) - row[i].size();
        text.append((missing + kTab - 1) / kTab, '\t');
      }
    }
    text += '\n';
  }
  return text;
}

void Table::Print() const { std::fputs(Format().c_str(), stdout); }

}  // namespace gantry::gctr
