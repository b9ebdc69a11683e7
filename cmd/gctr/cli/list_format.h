// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <cstdio>
#include <string>

#include "cmd/gctr/output/message_json.h"
#include "cmd/gctr/output/table.h"
#include "core/json/json.h"

namespace gantry::gctr {

// The forms in which lists are printed.
struct ListFormat {
  bool quiet = false;  // the first column alone, without a header
  std::string format = "table";

  bool json() const { return format == "json"; }

  void AddTo(CLI::App& app, const std::string& quiet_help = "") {
    if (!quiet_help.empty()) app.add_flag("-q,--quiet", quiet, quiet_help);
    app.add_option("--format", format, "table or json")->check(CLI::IsMember({"table", "json"}));
  }
};

inline void PrintLine(const std::string& text) { std::fputs((text + "\n").c_str(), stdout); }

}  // namespace gantry::gctr
