// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gantry::fuzz {

// Archives of every dialect to start mutating from.
std::vector<std::string> TarSeeds();

}  // namespace gantry::fuzz

// Reads `data` as an archive, in blocks of several sizes, all of which must tell the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
