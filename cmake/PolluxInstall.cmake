# The package: headers, library, CMake config and pkg-config file, for find_package(pollux CONFIG) and
# `pkg-config pollux`. It can be moved as a whole: no path of this machine is written into it.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# The headers that name Asio are installed in any case and cost only those who include them. They are a
# set of their own, because what is verified to compile alone must do so without Asio.
target_sources(pollux PUBLIC
  FILE_SET asio_header TYPE HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include
  FILES ${PROJECT_SOURCE_DIR}/include/pollux/asio.hpp
        ${PROJECT_SOURCE_DIR}/include/pollux/asio_lifecycle.hpp
        ${PROJECT_SOURCE_DIR}/include/pollux/detail/asio_lifecycle.hpp
        ${PROJECT_SOURCE_DIR}/include/pollux/detail/asio_memory.hpp)
# Likewise the adapters for other libraries' loops.
set(embed_headers asio.hpp glib.hpp embedded_reactor.hpp libuv.hpp qt.hpp)
list(TRANSFORM embed_headers PREPEND ${PROJECT_SOURCE_DIR}/include/pollux/embed/)
target_sources(pollux PUBLIC
  FILE_SET embed_headers TYPE HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${embed_headers})
set_target_properties(pollux PROPERTIES INTERFACE_HEADER_SETS_TO_VERIFY HEADERS)

install(TARGETS pollux EXPORT pollux-targets
  RUNTIME COMPONENT pollux_runtime
  LIBRARY COMPONENT pollux_runtime NAMELINK_COMPONENT pollux_development
  ARCHIVE COMPONENT pollux_development
  FILE_SET HEADERS COMPONENT pollux_development
  FILE_SET asio_header COMPONENT pollux_development
  FILE_SET embed_headers COMPONENT pollux_development)
if(BUILD_SHARED_LIBS AND TARGET pollux_command)
  set(bin_to_lib ${CMAKE_INSTALL_FULL_LIBDIR})
  cmake_path(RELATIVE_PATH bin_to_lib BASE_DIRECTORY ${CMAKE_INSTALL_FULL_BINDIR})
  set_target_properties(pollux_command PROPERTIES INSTALL_RPATH $ORIGIN/${bin_to_lib})
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/pollux)
install(EXPORT pollux-targets NAMESPACE pollux:: DESTINATION ${package_dir}
        COMPONENT pollux_development)
if(POLLUX_BUILD_CONFORMANCE)
  # A component of its own, of the package as of the install: it needs GoogleTest, and pollux does not.
  set_target_properties(pollux_conformance PROPERTIES EXPORT_NAME conformance)
  set_target_properties(pollux_conformance_archive PROPERTIES EXPORT_NAME conformance_archive)
  install(TARGETS pollux_conformance pollux_conformance_archive EXPORT pollux-conformance-targets
    ARCHIVE COMPONENT pollux_conformance
    FILE_SET HEADERS COMPONENT pollux_conformance)
  install(EXPORT pollux-conformance-targets NAMESPACE pollux:: DESTINATION ${package_dir}
          COMPONENT pollux_conformance)
endif()
if(POLLUX_BUILD_BENCH)
  # Likewise, for Google Benchmark.
  set_target_properties(pollux_bench_kit PROPERTIES EXPORT_NAME bench)
  install(TARGETS pollux_bench_kit EXPORT pollux-bench-targets
    ARCHIVE COMPONENT pollux_bench
    FILE_SET HEADERS COMPONENT pollux_bench)
  install(EXPORT pollux-bench-targets NAMESPACE pollux:: DESTINATION ${package_dir}
          COMPONENT pollux_bench)
endif()
# What a static library leaves to be linked. Whoever asks pkg-config need not know that it is one (--static
# is for programs that are static as a whole), and so it stands among the Libs and not among the private ones.
set(static_modules "")
set(pc_static_libs "")
if(NOT BUILD_SHARED_LIBS)
  get_property(static_modules GLOBAL PROPERTY POLLUX_PKG_CONFIG_MODULES)
  foreach(module IN LISTS static_modules)
    get_target_property(items pollux::${module} INTERFACE_LINK_LIBRARIES)
    list(TRANSFORM items PREPEND -l REGEX "^[^/]")
    list(APPEND pc_static_libs ${items})
  endforeach()
  if(WIN32)
    list(TRANSFORM POLLUX_WINDOWS_LIBRARIES PREPEND -l OUTPUT_VARIABLE libraries)
    list(APPEND pc_static_libs ${libraries})
  endif()
  list(APPEND pc_static_libs -pthread)
  list(JOIN static_modules " " static_modules)
  list(JOIN pc_static_libs " " pc_static_libs)
endif()
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/pollux-config.cmake.in
                              ${PROJECT_BINARY_DIR}/pollux-config.cmake
                              INSTALL_DESTINATION ${package_dir})
# Until 1.0 a minor version may break.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/pollux-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_SOURCE_DIR}/cmake/pollux-link-items.cmake
              ${PROJECT_BINARY_DIR}/pollux-config.cmake
              ${PROJECT_BINARY_DIR}/pollux-config-version.cmake
        DESTINATION ${package_dir} COMPONENT pollux_development)

# pkg-config finds the prefix from where its file lies; absolute directories of a distributor's stay.
set(pc_to_prefix ${CMAKE_INSTALL_PREFIX})
cmake_path(RELATIVE_PATH pc_to_prefix BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
foreach(kind LIBDIR INCLUDEDIR)
  set(pc_${kind} ${CMAKE_INSTALL_${kind}})
  if(NOT IS_ABSOLUTE ${pc_${kind}})
    string(PREPEND pc_${kind} "\${prefix}/")
  endif()
endforeach()
set(pc_definitions "")
if(WIN32)
  set(pc_definitions " -DPOLLUX_EXPORT=")  # to import is not needed for functions
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/pollux.pc.in ${PROJECT_BINARY_DIR}/pollux.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/pollux.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT pollux_development)
