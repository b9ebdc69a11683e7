// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/program_file.h"

#include <sys/stat.h>

namespace gantry::runtime {

ProgramFile IdentifyProgram(const std::filesystem::path& program) {
  struct stat info {};
  if (::stat(program.c_str(), &info) != 0) return {program.string(), 0, 0, 0, 0};
  const int64_t changed = info.st_mtim.tv_sec * int64_t{1'000'000'000} + info.st_mtim.tv_nsec;
  return {program.string(), info.st_dev, info.st_ino, changed, info.st_size};
}

}  // namespace gantry::runtime
