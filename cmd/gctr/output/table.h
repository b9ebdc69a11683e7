// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace gantry::gctr {

// Rows of cells, printed so that columns line up.
class Table {
 public:
  enum class Fill { kBlanks, kTabs };

  explicit Table(std::vector<std::string> header, size_t gap = 1, Fill fill = Fill::kBlanks)
      : gap_(gap), fill_(fill) {
    rows_.push_back(std::move(header));
  }

  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  // Widths are those of the longest cell, in bytes; the last cell of a row is not filled up.
  std::string Format() const;
  // To standard output.
  void Print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  size_t gap_;
  Fill fill_;
};

}  // namespace gantry::gctr
