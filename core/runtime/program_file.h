// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <tuple>

namespace gantry::runtime {

// A program as it is now: its path, device, inode, time of change and size. What was found out of
// one holds for as long as these are the same.
using ProgramFile = std::tuple<std::string, uint64_t, uint64_t, int64_t, int64_t>;

ProgramFile IdentifyProgram(const std::filesystem::path& program);

}  // namespace gantry::runtime
