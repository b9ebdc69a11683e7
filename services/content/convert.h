// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/content/content.h"
#include "core/filters/filter.h"
#include "proto/services/content/v1/content.pb.h"

namespace gantry::content {

void ToProto(const Info& info, ::containerd::services::content::v1::Info* out);
void ToProto(const IngestStatus& status, ::containerd::services::content::v1::Status* out);
bool Matches(const filters::Filter& filter, const Info& info);
bool Matches(const filters::Filter& filter, const IngestStatus& status);

}  // namespace gantry::content
