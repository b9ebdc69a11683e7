// SPDX-License-Identifier: Apache-2.0
#include "shim/json/spec_scan.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/kernel/file.h"
#include "shim/json/json_reader.h"

namespace gantry::shim {
namespace {

// A file's content, mapped for as long as this object lives.
class MappedFile {
 public:
  static kernel::Result<MappedFile> Open(const std::string& path) {
    auto fd = kernel::Open(path, O_RDONLY);
    if (!fd) return std::move(fd).error();
    struct stat status {};
    if (::fstat(fd->get(), &status) != 0) return kernel::LastError("stat " + path);
    const auto size = static_cast<size_t>(status.st_size);
    if (size > kMaxSpecBytes) return kernel::Error{EFBIG, "read " + path};
    if (size == 0) return MappedFile({});  // which cannot be mapped
    void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd->get(), 0);
    if (start == MAP_FAILED) return kernel::LastError("map " + path);
    return MappedFile({static_cast<const char*>(start), size});
  }

  MappedFile(MappedFile&& other) noexcept : text_(std::exchange(other.text_, {})) {}
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile() {
    if (!text_.empty()) ::munmap(const_cast<char*>(text_.data()), text_.size());
  }

  std::string_view text() const { return text_; }

 private:
  explicit MappedFile(std::string_view text) : text_(text) {}
  std::string_view text_;
};

void ScanAnnotations(JsonReader& json, std::span<const std::string_view> wanted,
                     SpecSummary& summary) {
  if (!json.EnterObject()) return;
  while (const auto key = json.NextKey()) {
    const auto name = std::find(wanted.begin(), wanted.end(), *key);
    if (name == wanted.end()) continue;
    if (auto value = json.String()) {
      summary.annotations.insert_or_assign(std::string(*name), *std::move(value));
    }
  }
}

// Whether this entry of linux.namespaces makes a PID namespace, rather than joins one.
bool ScanNamespace(JsonReader& json) {
  if (!json.EnterObject()) return false;
  std::string type;
  std::string path;
  while (const auto key = json.NextKey()) {
    if (*key == "type") type = json.String().value_or("");
    if (*key == "path") path = json.String().value_or("");
  }
  return type == "pid" && path.empty();
}

void ScanLinux(JsonReader& json, SpecSummary& summary) {
  if (!json.EnterObject()) return;
  while (const auto key = json.NextKey()) {
    if (*key == "cgroupsPath") {
      summary.cgroups_path = json.String().value_or("");
    } else if (*key == "namespaces" && json.EnterArray()) {
      summary.private_pid_namespace = false;
      while (json.NextElement()) {
        if (ScanNamespace(json)) summary.private_pid_namespace = true;
      }
    }
  }
}

void ScanProcess(JsonReader& json, SpecSummary& summary) {
  if (!json.EnterObject()) return;
  while (const auto key = json.NextKey()) {
    if (*key == "terminal") summary.terminal = json.Bool().value_or(false);
  }
}

void ScanHooks(JsonReader& json, SpecSummary& summary) {
  if (!json.EnterObject()) return;
  while (json.NextKey()) {
    if (json.EnterArray()) {
      while (json.NextElement()) summary.hooks = true;
    }
  }
}

}  // namespace

kernel::Result<SpecSummary> ScanSpec(std::string_view text,
                                     std::span<const std::string_view> wanted_annotations) {
  SpecSummary summary;
  JsonReader json(text);
  if (!json.EnterObject()) return json.Error("read OCI spec");
  while (const auto key = json.NextKey()) {
    if (*key == "annotations") {
      ScanAnnotations(json, wanted_annotations, summary);
    } else if (*key == "linux") {
      ScanLinux(json, summary);
    } else if (*key == "process") {
      ScanProcess(json, summary);
    } else if (*key == "hooks") {
      ScanHooks(json, summary);
    }
  }
  if (!json.Finish()) return json.Error("read OCI spec");
  return summary;
}

kernel::Result<SpecSummary> ScanSpecFile(const std::string& path,
                                         std::span<const std::string_view> wanted_annotations) {
  const auto file = MappedFile::Open(path);
  if (!file) return file.error();
  auto summary = ScanSpec(file->text(), wanted_annotations);
  if (!summary) return kernel::Error{summary.error().err, path + ": " + summary.error().what};
  return summary;
}

kernel::Result<std::string> ReadSpecProcess(const std::string& path) {
  const auto file = MappedFile::Open(path);
  if (!file) return file.error();
  std::string process;
  JsonReader json(file->text());
  if (!json.EnterObject()) return json.Error("read " + path);
  while (const auto key = json.NextKey()) {
    if (*key == "process") process = json.Raw();
  }
  if (!json.Finish()) return json.Error("read " + path);
  if (process.empty()) return kernel::Error{ENOENT, "find a process in " + path};
  return process;
}

}  // namespace gantry::shim
