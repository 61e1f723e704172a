// Reads Jenkinsfiles and Job DSL scripts as Groovy does, and knows nothing but what is written down here: a section, step
// or argument that is not, one in a wrong place, and one of a wrong type end it. Prints what it found as JSON.
//
// It is no Jenkins. What it cannot know: whether a plugin is there, what the sandbox allows, what a step does.
import groovy.json.JsonOutput
import org.codehaus.groovy.control.CompilerConfiguration

class Strict {
  // Where something may stand: what it may be called with, and where its closure leads. `_` is the argument without a
  // name, a trailing `?` makes it optional.
  static final STEPS = [
    deleteDir: [:], checkout: [_: Object], unstash: [_: String], error: [_: String],
    sh: [_: String], stash: [name: String, includes: String, 'allowEmpty?': Boolean],
    archiveArtifacts: [artifacts: String, 'allowEmptyArchive?': Boolean],
    dir: [_: CharSequence, '>': 'steps'], timeout: [time: Integer, unit: String, '>': 'steps'],
    catchError: [buildResult: String, stageResult: String, 'message?': String, '>': 'steps'],
    withEnv: [_: List, '>': 'steps'], script: ['>': 'script'],
  ]
  static final PLACES = [
    Jenkinsfile: [pipeline: ['>': 'pipeline']],
    pipeline: [agent: [_: Object, '>?': 'agent'], options: ['>': 'options'], parameters: ['>': 'parameters'],
      triggers: ['>': 'triggers'], environment: ['>': 'environment'], stages: ['>': 'stages'], post: ['>': 'post']],
    agent: [label: [_: String]],
    options: [skipDefaultCheckout: [:], disableConcurrentBuilds: ['abortPrevious?': Boolean],
      copyArtifactPermission: [_: String], buildDiscarder: [_: Map], logRotator: [numToKeepStr: String]],
    parameters: [string: [name: String, 'defaultValue?': String, description: String]],
    triggers: [cron: [_: String], pollSCM: [_: String], upstream: [upstreamProjects: String, threshold: String]],
    environment: [credentials: [_: String]],
    stages: [stage: [_: String, '>': 'stage']],
    stage: [agent: ['>': 'agent'], environment: ['>': 'environment'], when: ['>': 'when'], steps: ['>': 'steps'],
      parallel: ['>': 'stages'], post: ['>': 'post']],
    when: [beforeAgent: [_: Boolean], not: ['>': 'when'], changeRequest: [:]],
    post: [always: ['>': 'steps']],
    steps: STEPS,
    script: STEPS + [copyArtifacts: [projectName: String, selector: Map, optional: Boolean, filter: String],
      specific: [_: CharSequence], build: [job: String, wait: Boolean, parameters: List],
      string: [name: String, value: String], sh: ['_?': String, 'script?': String, 'returnStdout?': Boolean]],
    JobDsl: [folder: [_: String], pipelineJob: [_: String, '>': 'pipelineJob'],
      multibranchPipelineJob: [_: String, '>': 'multibranch']],
    pipelineJob: [definition: ['>': 'definition']], definition: [cpsScm: ['>': 'cpsScm']],
    cpsScm: [scm: ['>': 'scm'], scriptPath: [_: String]], scm: [git: ['>': 'git']],
    git: [remote: ['>': 'remote'], branch: [_: String]], remote: [url: [_: String], credentials: [_: String]],
    multibranch: [branchSources: ['>': 'sources'], factory: ['>': 'factory'], orphanedItemStrategy: ['>': 'orphans'],
      triggers: ['>': 'scans']],
    sources: [git: ['>': 'source']],
    source: [id: [_: String], remote: [_: String], credentialsId: [_: String], includes: [_: String], excludes: [_: String]],
    factory: [workflowBranchProjectFactory: ['>': 'projects']], projects: [scriptPath: [_: String]],
    orphans: [discardOldItems: ['>': 'discarding']], discarding: [numToKeep: [_: Integer]],
    scans: [periodicFolderTrigger: ['>': 'scan']], scan: [interval: [_: String]],
  ]
  static final ONCE = ['pipeline', 'stage', 'pipelineJob', 'multibranch', 'cpsScm']

  final String place
  final List found = []
  final Map env
  Strict(String place, Map env) { this.@place = place; this.@env = env }

  def getProperty(String name) {
    def known = [none: 'none', env: env, scm: [:], hudson: [model: [Result: [FAILURE: 'FAILURE']]], GITML_REMOTE: 'https://example.org/a/b.git',
      currentBuild: [upstreamBuilds: [[fullProjectName: env.FROM, number: 7, absoluteUrl: 'https://ci.example.org/7/']]]]
    if (name in ['place', 'found', 'env']) return this.@"$name"
    if (!known.containsKey(name)) throw new IllegalStateException("$name is nothing in $place")
    known[name]
  }

  void setProperty(String name, Object value) {
    if (place != 'environment' || !(name ==~ /[A-Z_][A-Z0-9_]*/)) throw new IllegalStateException("$name is set in $place")
    found << [set: name, value: value]
  }

  def invokeMethod(String name, Object given) {
    def form = PLACES[place][name]
    if (form == null) throw new IllegalStateException("$name does not stand in $place")
    if (place in ONCE && found.any { it.call == name }) throw new IllegalStateException("$name stands twice in $place")
    def args = (given as List)
    def inner = args && args[-1] instanceof Closure ? args.pop() : null
    def named = args && args[0] instanceof Map && !form.containsKey('_') ? args.remove(0) : [:]
    if (args.size() > 1) throw new IllegalArgumentException("$name has several arguments")
    def all = named + (args ? [_: args[0]] : [:])
    all.each { key, value ->
      def type = form[key] ?: form[key + '?']
      if (!type) throw new IllegalArgumentException("$name has no argument $key")
      if (!type.isInstance(value) && !(type == String && value instanceof GString)) throw new IllegalArgumentException("$name: $key is $value")
    }
    def goes = form['>'] ?: form['>?']
    def missing = form.keySet().findAll { it != '>' && !it.endsWith('?') && !all.containsKey(it) }
    if (missing && !(inner && form['>?'])) throw new IllegalArgumentException("$name lacks $missing")
    if ((inner == null) != (goes == null) && !form['>?']) throw new IllegalArgumentException("$name and its block")
    def node = [call: name] + all.collectEntries { k, v -> [(k): v instanceof GString ? v.toString() : v] }
    found << node
    if (inner) {
      def level = new Strict(place == 'script' ? 'script' : goes, env)
      inner.delegate = level
      inner.resolveStrategy = Closure.DELEGATE_ONLY
      inner()
      node.block = level.found
      check(name, level.found*.call)
    }
    if (name == 'sh' && all.returnStdout) return ' 0123 '
    node
  }

  static void check(String name, List names) {
    def lacks = { all -> all.findAll { !(it in names) } }
    if (name == 'pipeline' && lacks(['agent', 'stages'])) throw new IllegalStateException("a pipeline without ${lacks(['agent', 'stages'])}")
    if (name == 'stage' && ('steps' in names) == ('parallel' in names)) throw new IllegalStateException('a stage has either steps or stages side by side')
  }
}

def read = { File file, Map env ->
  def config = new CompilerConfiguration(scriptBaseClass: DelegatingScript.name)
  def script = new GroovyShell(getClass().classLoader, new Binding(), config).parse(file.getText("UTF-8"), "Script${file.name.hashCode() & 0xffff}.groovy")
  def top = new Strict(file.name.endsWith('.groovy') ? 'JobDsl' : 'Jenkinsfile', env)
  script.setDelegate(top)
  script.run()
  top.found
}
def from = args[0]
println JsonOutput.toJson(args.drop(1).collectEntries { [(it): read(new File(it), [WORKSPACE_TMP: '/tmp/w@tmp', BRANCH_NAME: 'b', BUILD_TAG: 'tag', FROM: from])] })
