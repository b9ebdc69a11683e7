// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/tar_reader_fuzz.h"

#include <cstdlib>
#include <string_view>

#include "core/archive/names.h"
#include "core/archive/testing/tar_builder.h"

namespace gantry::fuzz {
namespace {

using archive::Entry;
using archive::ReadEntry;

// Small enough that a few bytes cannot ask for much memory.
archive::Limits SmallLimits() {
  archive::Limits limits;
  limits.max_bytes = uint64_t{1} << 24;
  limits.max_entries = 1000;
  return limits;
}

void Require(bool fact) {
  if (!fact) std::abort();
}

void CheckEntry(const ReadEntry& read, const archive::Limits& limits) {
  const Entry& entry = read.entry;
  Require(entry.name.size() <= limits.max_name_bytes && entry.link.size() <= limits.max_name_bytes);
  Require(entry.name.find('\0') == std::string::npos);
  Require(entry.size <= limits.max_bytes);
  Require(entry.mtime.nanos >= 0 && entry.mtime.nanos < 1'000'000'000);
  const std::string clean = archive::CleanName(entry.name);
  Require(!clean.starts_with('/') && !clean.ends_with('/') && clean != "..");
  Require(("/" + clean + "/").find("/../") == std::string::npos);
  uint64_t end = 0;
  uint64_t stored = 0;
  for (const archive::SparseRun& run : entry.runs) {
    Require(run.offset >= end && run.offset + run.size <= entry.size);
    end = run.offset + run.size;
    stored += run.size;
  }
  Require(read.content.size() == (entry.sparse ? stored : entry.size));
}

}  // namespace

std::vector<std::string> TarSeeds() {
  using archive::TarBuilder;
  const std::string gnu("ustar  \0", 8);
  return {
      TarBuilder().Dir("d/").File("d/f", "content").Symlink("d/l", "f").HardLink("h", "d/f").Done(),
      TarBuilder()
          .Pax({{"path", "p"}, {"mtime", "1.5"}, {"SCHILY.xattr.user.k", "v"}, {"size", "3"}})
          .File("x", "abc")
          .Done(),
      TarBuilder()
          .Pax(
              {{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.realsize", "99"}})
          .File("s", archive::PadToBlock("2\n0\n3\n50\n2\n") + "abcde")
          .Done(),
      TarBuilder()
          .Pax({{"GNU.sparse.map", "0,3,50,2"}, {"GNU.sparse.size", "99"}})
          .File("s", "abcde")
          .Done(),
      TarBuilder()
          .Add({.name = "L", .flag = 'L'}, std::string(200, 'n') + std::string(1, '\0'))
          .Add({.name = "c", .flag = '3', .magic = gnu, .dev_major = archive::Base256(1, 8)})
          .Add({.name = "v7/", .flag = '\0', .magic = ""})
          .Pax({{"path", "global"}}, 'g')
          .File("last")
          .Done(),
      [&] {
        std::string block = archive::HeaderBlock({.name = "s", .flag = 'S', .magic = gnu}, 3);
        std::string("00000000012").copy(block.data() + archive::kGnuSparse.offset, 11);
        std::string("00000000003").copy(block.data() + archive::kGnuSparse.offset + 12, 11);
        std::string("00000000100").copy(block.data() + archive::kGnuRealSize.offset, 11);
        archive::SetChecksum(block);
        return TarBuilder().Raw(block).Raw(archive::PadToBlock("abc")).Done();
      }(),
  };
}

}  // namespace gantry::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gantry;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const archive::Limits limits = fuzz::SmallLimits();
  const auto whole = archive::ReadArchive(bytes, 1 << 20, limits);
  if (whole.ok()) {
    for (const archive::ReadEntry& entry : *whole) fuzz::CheckEntry(entry, limits);
  }
  for (const size_t block : {size_t{512}, size_t{700}}) {
    const auto cut = archive::ReadArchive(bytes, block, limits);
    fuzz::Require(cut.status() == whole.status());
    fuzz::Require(!cut.ok() || cut->size() == whole->size());
  }
  return 0;
}
