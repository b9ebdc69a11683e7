// SPDX-License-Identifier: Apache-2.0
#include "core/diff/differ_chain.h"

#include <string>

#include "absl/functional/function_ref.h"
#include "core/base/status.h"

namespace gantry::diff {
namespace {

absl::StatusOr<Descriptor> FirstAnswer(const std::vector<Differ*>& differs,
                                       absl::FunctionRef<absl::StatusOr<Descriptor>(Differ&)> ask) {
  absl::StatusOr<Descriptor> answer = Unimplemented("no differ is configured");
  absl::Status unknown_type;
  for (Differ* differ : differs) {
    answer = ask(*differ);
    if (!absl::IsUnimplemented(answer.status())) return answer;
    if (IsUnknownMediaType(answer.status())) unknown_type = answer.status();
  }
  if (!unknown_type.ok()) return InvalidArgument("{}", std::string(unknown_type.message()));
  return answer;
}

}  // namespace

absl::StatusOr<Descriptor> DifferChain::Apply(const Context& ctx, const Descriptor& layer,
                                              const mount::Mounts& mounts,
                                              const ApplyOptions& options) {
  ApplyOptions with_default = options;
  with_default.sync_fs = options.sync_fs || sync_fs_;
  return FirstAnswer(
      differs_, [&](Differ& differ) { return differ.Apply(ctx, layer, mounts, with_default); });
}

absl::StatusOr<Descriptor> DifferChain::Compare(const Context& ctx, const mount::Mounts& left,
                                                const mount::Mounts& right,
                                                const CompareOptions& options) {
  return FirstAnswer(differs_,
                     [&](Differ& differ) { return differ.Compare(ctx, left, right, options); });
}

}  // namespace gantry::diff
