// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/containers/container_store.h"
#include "core/filters/filter.h"
#include "proto/services/containers/v1/containers.pb.h"

namespace gantry::containers {

Container FromProto(const ::containerd::services::containers::v1::Container& container);
void ToProto(const Container& container, ::containerd::services::containers::v1::Container* out);
bool Matches(const filters::Filter& filter, const Container& container);

}  // namespace gantry::containers
