# SPDX-License-Identifier: Apache-2.0
# Language level, warnings, sanitizers, caches and output folders, the same for every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_VERIFY_INTERFACE_HEADER_SETS ON)

set(GANTRY_SANITIZE "" CACHE STRING "Sanitizers for every target: empty, address,undefined or thread")
option(GANTRY_PCH "Use precompiled headers" ON)

find_program(CCACHE ccache)
if(CCACHE)
  # Paths are cached relative to the checkout, so that a second clone finds the first one's objects.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime,locale
      ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()
find_program(MOLD mold)
if(MOLD AND NOT GANTRY_SANITIZE)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-fno-plt -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND GANTRY_PCH)
  add_compile_options(-fpch-preprocess)
endif()
if(GANTRY_SANITIZE)
  add_compile_options(-fsanitize=${GANTRY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${GANTRY_SANITIZE})
endif()
if(GANTRY_SANITIZE STREQUAL "thread")
  # With this macro protobuf's headers give map fields two members more than Debian's library knows of; libstdc++, which needs
  # it to count owners in a way that can be followed, is told by its own.
  add_compile_options(-U__SANITIZE_THREAD__)
  add_compile_definitions(GANTRY_TSAN _GLIBCXX_TSAN=1)
endif()

# Warnings for code written here; generated code is built without them. GCC 12 at -O2 takes the value of an empty
# optional for read, hence no -Wmaybe-uninitialized.
add_library(gantry_warnings INTERFACE)
target_compile_options(gantry_warnings INTERFACE -Wall -Wextra -Werror
  $<$<CXX_COMPILER_ID:GNU>:-Wno-missing-field-initializers -Wno-restrict -Wno-stringop-overflow
    -Wno-maybe-uninitialized>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety -Wno-missing-field-initializers>)
