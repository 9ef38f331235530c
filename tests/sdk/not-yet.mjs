// Commands of the SDK that the server does not answer, and why. Whoever builds one takes it from this list and calls it in
// commands.mjs.
const of = (why, ...names) => Object.fromEntries(names.map((name) => [name, why]));
const nine = (single, plural = `${single}s`) => [
  ...['create', 'read', 'update', 'delete'].flatMap((verb) => [`${verb}${single}`, `${verb}${plural}`]),
  `update${plural}Batch`,
];

export const notYet = {
  ...of('services of others, which the server does not speak to',
    'createDeployment', 'readDeployments', 'readDeployment', 'readDeploymentDashboard', 'readDeploymentProjects',
    'readDeploymentProject', 'readDeploymentRuns', 'readDeploymentRun', 'readDeploymentRunStats', 'updateDeployment',
    'updateDeploymentProjects', 'deleteDeployment', 'triggerDeployment', 'cancelDeployment',
    'readRegistryExtensions', 'readRegistryExtension', 'readRegistryAccount', 'installRegistryExtension',
    'reinstallRegistryExtension', 'uninstallRegistryExtension'),
  ...of('running flows', 'triggerFlow'),
  ...of('archives of files', 'downloadFilesZip', 'downloadFolderZip'),
  ...of('a running extension', 'updateExtension', 'deleteExtension'),
  ...of('import of several collections at once', 'utilsImportBatch'),
};
