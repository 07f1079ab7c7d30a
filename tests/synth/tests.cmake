foreach(noun scene painter)
  sphinx_test(synth ${noun} LINK sphinx_synth)
endforeach()
