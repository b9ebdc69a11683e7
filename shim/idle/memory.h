// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace gantry::shim {

// Gives the kernel back what this process has mapped and does not need to sit still: free pages of
// the heap, the stack below the caller, and the program's own text and constants, which come back
// from the page cache when they are touched next (some tens of microseconds in all). Allocates
// nothing; errors are of no consequence. Threads: from the main thread of a process that has no
// other.
void ReleaseIdleMemory();

}  // namespace gantry::shim
