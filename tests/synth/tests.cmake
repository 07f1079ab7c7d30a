foreach(noun scene painter task)
  sphinx_test(synth ${noun} LINK sphinx_synth)
endforeach()
