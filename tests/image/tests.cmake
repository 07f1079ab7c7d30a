foreach(noun decode resample transform views draw jpeg_writer)
  sphinx_test(image ${noun} LINK sphinx_image PkgConfig::ZLIB)
endforeach()
sphinx_test(image heat LINK sphinx_image)
