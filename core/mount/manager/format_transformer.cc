// SPDX-License-Identifier: Apache-2.0
#include "core/base/status.h"
#include "core/mount/manager/template.h"
#include "core/mount/manager/transformer.h"

namespace gantry::mount {
namespace {

class FormatTransformer final : public Transformer {
 public:
  absl::StatusOr<Mount> Transform(const Context&, Mount mount,
                                  std::span<const ActiveMount> earlier) const override {
    ASSIGN_OR_RETURN(mount.source, ExpandTemplate(mount.source, earlier));
    ASSIGN_OR_RETURN(mount.target, ExpandTemplate(mount.target, earlier));
    for (std::string& word : mount.options) {
      ASSIGN_OR_RETURN(word, ExpandTemplate(word, earlier));
    }
    return mount;
  }
};

}  // namespace

std::unique_ptr<Transformer> MakeFormatTransformer() {
  return std::make_unique<FormatTransformer>();
}

Transformers MakeTransformers(const AllowedRoots& roots) {
  Transformers transformers;
  transformers["format"] = MakeFormatTransformer();
  transformers["mkdir"] = MakeMkdirTransformer(roots);
  transformers["mkfs"] = MakeMkfsTransformer(roots);
  return transformers;
}

}  // namespace gantry::mount
