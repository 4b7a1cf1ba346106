# Installs what $Installers names, one after the other, each followed by a restart: cloudbase-init
# restarts Windows and runs this script again where it ends with 1003. What is done is recorded in
# $Folder, so that a run goes on where the last one ended. Windows PowerShell 5.1, as SYSTEM.

$ErrorActionPreference = 'Stop'
# Its progress bar makes Invoke-WebRequest many times slower.
$ProgressPreference = 'SilentlyContinue'
$RestartAndRunAgain = 1003
$MostTries = 3
# Windows Installer: done; done, restart needed; restart begun. pnputil: nothing newer to install.
$Successes = @(0, 3010, 1641, 259)
$Folder = Join-Path $env:ProgramData 'Wholecard'
New-Item -ItemType Directory -Force -Path $Folder | Out-Null

# One line to the console's log; what cannot be written there is in the log file all the same.
function Write-Setup([string] $Text) {
    $Line = 'wholecard-setup: ' + ($Text -replace '[^\x20-\x7e]', ' ')
    Add-Content -LiteralPath (Join-Path $Folder 'setup.log') -Value "$([DateTime]::UtcNow.ToString('s'))Z $Line"
    try {
        $Port = New-Object System.IO.Ports.SerialPort 'COM1', 115200, 'None', 8, 'One'
        $Port.Open()
        try { $Port.Write("`r`n$Line`r`n") } finally { $Port.Close() }
    } catch {
        Write-Output $Line
    }
}

function Get-Mark([string] $Name, [string] $What) { return Join-Path $Folder "$Name.$What" }

# How often an installer was begun: one that restarts Windows by itself must not do so for ever.
function Add-Try([string] $Name) {
    $File = Get-Mark $Name 'tries'
    $Tries = 1
    if (Test-Path -LiteralPath $File) { $Tries = 1 + [int] (Get-Content -LiteralPath $File -Raw) }
    Set-Content -LiteralPath $File -Value $Tries
    return $Tries
}

# The installer's file: downloaded, or found; '*:' means any drive, as a CD-ROM has a letter
# of its own on each machine.
function Get-Installer($Installer) {
    $Source = $Installer.Source
    if ($Source -match '^https?://') {
        [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
        $File = Join-Path $Folder ($Installer.Name + [IO.Path]::GetExtension(([Uri] $Source).AbsolutePath))
        Invoke-WebRequest -UseBasicParsing -Uri $Source -OutFile $File
    } elseif ($Source.StartsWith('*:')) {
        $Found = @(Get-CimInstance Win32_LogicalDisk |
                ForEach-Object { $_.DeviceID + $Source.Substring(2) } |
                Where-Object { Test-Path -LiteralPath $_ })
        if ($Found.Count -eq 0) { throw "no drive has $($Source.Substring(2))" }
        $File = $Found[0]
    } else {
        if (-not (Test-Path -LiteralPath $Source)) { throw "there is no $Source" }
        $File = $Source
    }
    if ($Installer.Sha256) {
        $Sum = (Get-FileHash -LiteralPath $File -Algorithm SHA256).Hash
        if ($Sum -ne $Installer.Sha256) { throw "$File has the SHA-256 $Sum, not $($Installer.Sha256)" }
    }
    return $File
}

function Invoke-Installer([string] $File, [string] $Arguments) {
    switch ([IO.Path]::GetExtension($File).ToLowerInvariant()) {
        '.msi' { $Program = 'msiexec.exe'; $Words = "/i `"$File`" /qn /norestart $Arguments" }
        '.inf' { $Program = 'pnputil.exe'; $Words = "/add-driver `"$File`" /install $Arguments" }
        default { $Program = $File; $Words = $Arguments }
    }
    $Options = @{ FilePath = $Program; Wait = $true; PassThru = $true }
    if ($Words.Trim()) { $Options.ArgumentList = $Words.Trim() }
    return (Start-Process @Options).ExitCode
}

foreach ($Installer in $Installers) {
    $Name = $Installer.Name
    if (Test-Path -LiteralPath (Get-Mark $Name 'done')) { continue }
    if ((Add-Try $Name) -gt $MostTries) {
        Write-Setup "$Name was begun $MostTries times and never ended; given up"
        exit 1
    }
    try {
        Write-Setup "$Name begins"
        $Status = Invoke-Installer (Get-Installer $Installer) $Installer.Arguments
    } catch {
        Write-Setup "$Name failed: $_"
        exit 1
    }
    if ($Successes -notcontains $Status) {
        Write-Setup "$Name failed: its installer ended with $Status"
        exit 1
    }
    Set-Content -LiteralPath (Get-Mark $Name 'done') -Value $Status
    Write-Setup "$Name is installed ($Status); Windows restarts"
    exit $RestartAndRunAgain
}
Write-Setup 'everything is installed'

