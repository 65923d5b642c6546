# Libraries that pkg-config knows, where they are there for the system that is built for.
include(CheckCXXSourceCompiles)
include(${CMAKE_CURRENT_LIST_DIR}/pollux-link-items.cmake)
find_package(PkgConfig QUIET)

# Whether what pkg-config says is about that system. When it is another than this one, pkg-config must have
# been told where to look, or be that system's own (aarch64-linux-gnu-pkg-config): else it says what this
# machine has.
function(pollux_pkg_config_is_told answer)
  cmake_path(GET PKG_CONFIG_EXECUTABLE STEM program)
  set(${answer} FALSE PARENT_SCOPE)
  if(PkgConfig_FOUND AND (NOT CMAKE_CROSSCOMPILING OR NOT program MATCHES "^pkg-?conf(ig)?$"
                          OR DEFINED ENV{PKG_CONFIG_LIBDIR} OR DEFINED ENV{PKG_CONFIG_SYSROOT_DIR}))
    set(${answer} TRUE PARENT_SCOPE)
  endif()
endfunction()

# pollux_pkg_config(<name> <module>...): makes the target pollux::<name> of these modules, if pkg-config finds
# them and the linker takes them. (With -m32, for instance, it may find what the linker cannot use.)
function(pollux_pkg_config name)
  string(TOUPPER POLLUX_${name} prefix)
  pollux_pkg_config_is_told(told)
  if(TARGET pollux::${name} OR NOT told)
    return()
  endif()
  pkg_check_modules(${prefix} QUIET ${ARGN})
  if(NOT ${prefix}_FOUND)
    return()
  endif()
  pollux_link_items(items ${${prefix}_LINK_LIBRARIES})
  set(CMAKE_REQUIRED_LIBRARIES ${items})  # as it will be linked: with -static that is another file
  check_cxx_source_compiles("int main() {}" ${prefix}_LINKS)
  if(NOT ${prefix}_LINKS)
    message(STATUS "pollux: ${name} is here, but for another system")
    return()
  endif()
  add_library(pollux::${name} INTERFACE IMPORTED GLOBAL)
  set_target_properties(pollux::${name} PROPERTIES
    INTERFACE_LINK_LIBRARIES "${items}"
    INTERFACE_LINK_OPTIONS "${${prefix}_LDFLAGS_OTHER}"
    INTERFACE_INCLUDE_DIRECTORIES "${${prefix}_INCLUDE_DIRS}"
    INTERFACE_COMPILE_OPTIONS "${${prefix}_CFLAGS_OTHER}")
endfunction()
