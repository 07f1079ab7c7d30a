foreach(noun scene painter task)
  sphinx_test(synth ${noun} LINK sphinx_synth)
endforeach()
sphinx_test(synth world LINK sphinx_synth PkgConfig::JANSSON)
