foreach(noun decode resample transform views draw)
  sphinx_test(image ${noun} LINK sphinx_image PkgConfig::ZLIB)
endforeach()
